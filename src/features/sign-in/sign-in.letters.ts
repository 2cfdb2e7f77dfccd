/** The mails of sign-in. Pure. */

import type { Locale } from "#src/kernel/locale";
import type { Letter } from "#src/mail/letter";

interface Words {
  readonly register: (account: { readonly username: string; readonly url: string; readonly code: string }) => Letter;
  /** To somebody who has an account and asked for one, or for whom somebody did. */
  readonly registeredAlready: (account: { readonly username: string }) => Letter;
  readonly confirmAddress: (link: { readonly url: string; readonly code: string }) => Letter;
  readonly resetPassword: (link: { readonly url: string }) => Letter;
  readonly signIn: (proof: { readonly code: string; readonly url: string | undefined }) => Letter;
  /** An admin has made the old one good for nothing. */
  readonly mustReset: (link: { readonly url: string }) => Letter;
  /** An admin has made the account. */
  readonly invited: (link: { readonly username: string; readonly url: string }) => Letter;
}

/** What each mail says, by language. Addresses in it are ours. */
export const signInLetters: Readonly<Record<Locale, Words>> = {
  en: {
    register: ({ username, url, code }) => ({
      subject: "Confirm your e-mail address",
      paragraphs: [
        `Somebody, we hope you, asked for the account ${username} with this address. Confirm it within 24 hours to have it made.`,
      ],
      link: { label: "Confirm the address", url },
      code: { lead: "Or type this code where you registered:", digits: code },
      closing: ["If it was not you, do nothing: no account will be made. Tell the code to nobody."],
    }),
    registeredAlready: ({ username }) => ({
      subject: "You have an account already",
      paragraphs: [
        `Somebody, perhaps you, asked for a new account with this address. It has one already: ${username}.`,
        "Sign in with it, or ask for a new password if you have forgotten yours. If it was not you, do nothing: nothing was changed.",
      ],
    }),
    confirmAddress: ({ url, code }) => ({
      subject: "Confirm your e-mail address",
      paragraphs: ["Please confirm within 24 hours that this address is yours."],
      link: { label: "Confirm the address", url },
      code: { lead: "Or type this code where you are signed in:", digits: code },
      closing: ["If you have no account with us, do nothing. Tell the code to nobody."],
    }),
    resetPassword: ({ url }) => ({
      subject: "Set a new password",
      paragraphs: ["Somebody, we hope you, asked for a new password for your account. This link is good for one hour and for one use."],
      link: { label: "Set a new password", url },
      closing: ["If it was not you, do nothing: your password stays as it is."],
    }),
    signIn: ({ code, url }) => ({
      subject: "Your code for signing in",
      paragraphs: ["Somebody, we hope you, wants to sign in to your account. The code is good for ten minutes and for one use."],
      code: { lead: "The code:", digits: code },
      ...(url === undefined ? {} : { link: { label: "Or sign in on this device", url } }),
      closing: ["If it was not you, do nothing, and tell the code to nobody: whoever has it is signed in."],
    }),
    mustReset: ({ url }) => ({
      subject: "Please set a new password",
      paragraphs: [
        "To keep your account safe, its password was made good for nothing and you have been signed out everywhere. This link is good for one hour and for one use; after that, ask for a new password where you sign in.",
      ],
      link: { label: "Set a new password", url },
    }),
    invited: ({ username, url }) => ({
      subject: "You have been invited",
      paragraphs: [`An account was made for you: ${username}. Set its password within seven days to use it.`],
      link: { label: "Set the password", url },
      closing: ["If you do not want it, do nothing."],
    }),
  },
  hu: {
    register: ({ username, url, code }) => ({
      subject: "Erősítsd meg az e-mail-címedet",
      paragraphs: [`Valaki, reméljük te, fiókot kért ${username} néven ezzel a címmel. Erősítsd meg 24 órán belül, hogy létrehozzuk.`],
      link: { label: "A cím megerősítése", url },
      code: { lead: "Vagy írd be ezt a kódot ott, ahol regisztráltál:", digits: code },
      closing: ["Ha nem te voltál, nincs teendőd: nem jön létre fiók. A kódot ne add meg senkinek."],
    }),
    registeredAlready: ({ username }) => ({
      subject: "Már van fiókod",
      paragraphs: [
        `Valaki, talán te, új fiókot kért ezzel a címmel. Ehhez már tartozik egy: ${username}.`,
        "Jelentkezz be vele, vagy kérj új jelszót, ha elfelejtetted. Ha nem te voltál, nincs teendőd: semmi sem változott.",
      ],
    }),
    confirmAddress: ({ url, code }) => ({
      subject: "Erősítsd meg az e-mail-címedet",
      paragraphs: ["Kérjük, erősítsd meg 24 órán belül, hogy ez a cím a tiéd."],
      link: { label: "A cím megerősítése", url },
      code: { lead: "Vagy írd be ezt a kódot ott, ahol be vagy jelentkezve:", digits: code },
      closing: ["Ha nincs nálunk fiókod, nincs teendőd. A kódot ne add meg senkinek."],
    }),
    resetPassword: ({ url }) => ({
      subject: "Állíts be új jelszót",
      paragraphs: ["Valaki, reméljük te, új jelszót kért a fiókodhoz. Ez a hivatkozás egy óráig, egyetlen alkalommal használható."],
      link: { label: "Új jelszó beállítása", url },
      closing: ["Ha nem te voltál, nincs teendőd: a jelszavad marad a régi."],
    }),
    signIn: ({ code, url }) => ({
      subject: "A bejelentkezési kódod",
      paragraphs: ["Valaki, reméljük te, be szeretne jelentkezni a fiókodba. A kód tíz percig, egyetlen alkalommal használható."],
      code: { lead: "A kód:", digits: code },
      ...(url === undefined ? {} : { link: { label: "Vagy jelentkezz be ezen az eszközön", url } }),
      closing: ["Ha nem te voltál, nincs teendőd, és a kódot ne add meg senkinek: akié, az be van jelentkezve."],
    }),
    mustReset: ({ url }) => ({
      subject: "Kérjük, állíts be új jelszót",
      paragraphs: [
        "A fiókod védelmében érvénytelenítettük a jelszavát, és mindenhol kijelentkeztettünk. Ez a hivatkozás egy óráig, egyetlen alkalommal használható; utána kérj új jelszót ott, ahol bejelentkezel.",
      ],
      link: { label: "Új jelszó beállítása", url },
    }),
    invited: ({ username, url }) => ({
      subject: "Meghívót kaptál",
      paragraphs: [`Fiók készült neked: ${username}. Állítsd be a jelszavát hét napon belül, hogy használhasd.`],
      link: { label: "A jelszó beállítása", url },
      closing: ["Ha nem kéred, nincs teendőd."],
    }),
  },
};
