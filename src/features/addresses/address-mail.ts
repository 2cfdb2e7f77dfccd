/** What the mails of a changing address say, found out by the job. */

import { addresseeById, addresseeOf } from "#src/features/accounts/public";
import { findUsable, type OneTimeToken } from "#src/features/one-time-tokens/public";
import { proofsOf, type LinkMailNeeds } from "#src/features/sign-in/public";
import { writeLetter, type MailParts } from "#src/mail/letter";
import { addressLetters } from "./addresses.letters.ts";

/** Sends what a token is good for to its address; nothing when it is good for nothing. May run again: link and Message-ID stay. */
export async function mailAddressLink(
  deps: LinkMailNeeds,
  input: { readonly tokenId: string; readonly messageId: string },
): Promise<"sent" | "nothing-to-send"> {
  const token = await findUsable(deps.db, input.tokenId);
  const parts = token === undefined ? undefined : await partsFor(deps, token);
  if (token === undefined || parts === undefined) return "nothing-to-send";
  await deps.mail.send({ messageId: input.messageId, to: token.email, ...parts });
  return "sent";
}

async function partsFor(deps: LinkMailNeeds, token: OneTimeToken): Promise<MailParts | undefined> {
  const owner = token.userId === null ? undefined : await addresseeById(deps.db, token.userId);
  if (owner === undefined) return undefined;
  const words = addressLetters[owner.locale];
  const { username, locale, displayName } = owner;
  const { url, code } = await proofsOf(deps, token.id);
  if (token.purpose === "address_undo") return writeLetter(words.changed({ username, url }), locale, displayName);
  const other = await addresseeOf(deps.db, token.email);
  if (other !== undefined)
    return writeLetter(addressLetters[other.locale].changeTaken({ username: other.username }), other.locale, other.displayName);
  return writeLetter(words.confirmChange({ username, url, code }), locale, displayName);
}
