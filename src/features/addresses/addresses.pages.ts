/** The pages behind links that confirm an address or take a change back. */

import type { LinkPage } from "#src/http/link-pages";
import { verifyAddress } from "./verify-address.ts";

type Deps = Parameters<typeof verifyAddress>[0];

const use: LinkPage<Deps>["use"] = async (deps, { token, client }) => {
  await verifyAddress(deps, { proof: { token }, client });
};

const confirmed = {
  en: {
    title: "Confirm your e-mail address",
    question: "Is this address yours?",
    button: "Yes, confirm it",
    done: "The address is confirmed. You can close this page.",
  },
  hu: {
    title: "Erősítsd meg az e-mail-címedet",
    question: "Ez a cím a tiéd?",
    button: "Igen, megerősítem",
    done: "A címet megerősítetted. Bezárhatod ezt az oldalt.",
  },
};

export const addressesPages: readonly LinkPage<Deps>[] = [
  {
    purpose: "registration",
    words: {
      en: {
        title: "Confirm your e-mail address",
        question: "Somebody asked for an account with this address. Confirm it only if that was you: whoever asked knows its password.",
        button: "It was me, make the account",
        done: "The account is made. You can close this page and sign in.",
      },
      hu: {
        title: "Erősítsd meg az e-mail-címedet",
        question: "Valaki fiókot kért ezzel a címmel. Csak akkor erősítsd meg, ha te voltál: aki kérte, ismeri a jelszavát.",
        button: "Én voltam, jöjjön létre a fiók",
        done: "A fiók elkészült. Bezárhatod ezt az oldalt, és bejelentkezhetsz.",
      },
    },
    use,
  },
  { purpose: "address", words: confirmed, use },
  { purpose: "address_change", words: confirmed, use },
  {
    purpose: "address_undo",
    words: {
      en: {
        title: "Take the new address back",
        question: "The account gets this address back, every device is signed out, and a link for a new password is mailed here.",
        button: "Take it back",
        done: "The account has this address again. Please set a new password: we have mailed you a link.",
      },
      hu: {
        title: "Az új cím visszavonása",
        question: "A fiók visszakapja ezt a címet, minden eszközt kijelentkeztetünk, és ide küldünk egy hivatkozást új jelszóhoz.",
        button: "Visszavonom",
        done: "A fióké ismét ez a cím. Kérjük, állíts be új jelszót: küldtünk hozzá egy hivatkozást.",
      },
    },
    use,
  },
];
