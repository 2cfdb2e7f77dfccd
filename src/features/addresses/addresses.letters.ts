/** The mails of a changing address. Pure. */

import type { Locale } from "#src/kernel/locale";
import type { Letter } from "#src/mail/letter";

interface Words {
  readonly confirmChange: (link: { readonly username: string; readonly url: string; readonly code: string }) => Letter;
  /** To the new address, when it has an account. */
  readonly changeTaken: (account: { readonly username: string }) => Letter;
  /** To the old address. */
  readonly changed: (link: { readonly username: string; readonly url: string }) => Letter;
}

/** What each mail says, by language. */
export const addressLetters: Readonly<Record<Locale, Words>> = {
  en: {
    confirmChange: ({ username, url, code }) => ({
      subject: "Confirm your new e-mail address",
      paragraphs: [`The account ${username} wants to use this address from now on. Confirm within 24 hours that it is yours.`],
      link: { label: "Confirm the new address", url },
      code: { lead: "Or type this code where you are signed in:", digits: code },
      closing: ["If it was not you, do nothing: nothing will change. Tell the code to nobody."],
    }),
    changeTaken: ({ username }) => ({
      subject: "This address has an account already",
      paragraphs: [
        `Somebody wanted to use this address for another account. It belongs to ${username} already, so nothing was changed.`,
        "If that was you, change the address of this account first, or delete it.",
      ],
    }),
    changed: ({ username, url }) => ({
      subject: "The e-mail address of your account was changed",
      paragraphs: [`The account ${username} has another e-mail address now. We will not write to this one any more.`],
      link: { label: "That was not me: take it back", url },
      closing: [
        "For seven days this link gives the account its old address back, ends all of its sessions, and has a link for a new password sent here.",
      ],
    }),
  },
  hu: {
    confirmChange: ({ username, url, code }) => ({
      subject: "Erősítsd meg az új e-mail-címedet",
      paragraphs: [`A(z) ${username} fiók mostantól ezt a címet szeretné használni. Erősítsd meg 24 órán belül, hogy a tiéd.`],
      link: { label: "Az új cím megerősítése", url },
      code: { lead: "Vagy írd be ezt a kódot ott, ahol be vagy jelentkezve:", digits: code },
      closing: ["Ha nem te voltál, nincs teendőd: semmi sem változik. A kódot ne add meg senkinek."],
    }),
    changeTaken: ({ username }) => ({
      subject: "Ehhez a címhez már tartozik fiók",
      paragraphs: [
        `Valaki egy másik fiókhoz szerette volna használni ezt a címet. Már hozzá tartozik: ${username}, ezért semmi sem változott.`,
        "Ha te voltál, előbb ennek a fióknak a címét változtasd meg, vagy töröld a fiókot.",
      ],
    }),
    changed: ({ username, url }) => ({
      subject: "Megváltozott a fiókod e-mail-címe",
      paragraphs: [`A(z) ${username} fióknak mostantól más az e-mail-címe. Erre a címre többé nem írunk.`],
      link: { label: "Nem én voltam: visszavonom", url },
      closing: [
        "Ez a hivatkozás hét napig visszaadja a fióknak a régi címét, lezárja minden munkamenetét, és ide küld egy hivatkozást új jelszóhoz.",
      ],
    }),
  },
};
