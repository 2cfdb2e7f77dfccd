/** What a mailed link of sign-in is good for, found out by the job: only here it shows whether there is an account. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { addresseeOf, hasEnded } from "#src/features/accounts/public";
import { assignToken, findUsable, newestUsable, type OneTimeToken, type OneTimeTokens } from "#src/features/one-time-tokens/public";
import type { Locale } from "#src/kernel/locale";
import { writeLetter, type MailParts } from "#src/mail/letter";
import type { Mail } from "#src/mail/mail";
import { registrationOf } from "./registration.ts";
import { signInLetters } from "./sign-in.letters.ts";

/** What mailing links takes. */
export interface LinkMailNeeds {
  readonly db: Db;
  readonly mail: Mail;
  /** @throws Error while the keys cannot be had */
  readonly openOneTimeTokens: () => Promise<OneTimeTokens>;
  readonly config: {
    readonly publicUrl: string;
    /** The page of the application that signs in by a mailed link. */
    readonly emailSignInUrl: string | undefined;
  };
}

/** Sends what a token is good for to its address; nothing when it is good for nothing. May run again: link and Message-ID stay. */
export async function mailSignInLink(
  deps: LinkMailNeeds,
  input: { readonly tokenId: string; readonly locale: Locale; readonly messageId: string },
): Promise<"sent" | "nothing-to-send"> {
  const token = await findUsable(deps.db, input.tokenId);
  const parts = token === undefined ? undefined : await partsFor(deps, token, input.locale);
  if (token === undefined || parts === undefined) return "nothing-to-send";
  await deps.mail.send({ messageId: input.messageId, to: token.email, ...parts });
  return "sent";
}

async function partsFor(deps: LinkMailNeeds, token: OneTimeToken, locale: Locale): Promise<MailParts | undefined> {
  switch (token.purpose) {
    case "registration":
      return await registrationParts(deps, token, locale);
    case "address":
      return await addressParts(deps, token, locale);
    case "sign_in":
      return await signInParts(deps, token);
    case "password_reset":
    case "invitation":
      return await resetParts(deps, token);
    default:
      throw new Error(`sign-in mails no ${token.purpose}`);
  }
}

async function registrationParts(deps: LinkMailNeeds, token: OneTimeToken, locale: Locale): Promise<MailParts> {
  const owner = await addresseeOf(deps.db, token.email);
  if (owner !== undefined) {
    const letter = signInLetters[owner.locale].registeredAlready({ username: owner.username });
    return writeLetter(letter, owner.locale, owner.displayName);
  }
  const { username } = registrationOf(token);
  const letter = signInLetters[locale].register({ username, ...(await proofsOf(deps, token.id)) });
  return writeLetter(letter, locale, undefined);
}

/** For an address that is not confirmed yet: of an account, or of a registration that waits, whose own mail is sent again. */
async function addressParts(deps: LinkMailNeeds, token: OneTimeToken, locale: Locale): Promise<MailParts | undefined> {
  const owner = await addresseeOf(deps.db, token.email);
  if (owner === undefined) {
    const waiting = await newestUsable(deps.db, token.email, "registration");
    return waiting === undefined ? undefined : await registrationParts(deps, waiting, locale);
  }
  if (owner.emailVerified || !(await inTx(deps.db, (tx) => assignToken(tx, token.id, owner.userId)))) return undefined;
  const letter = signInLetters[owner.locale].confirmAddress({ ...(await proofsOf(deps, token.id)) });
  return writeLetter(letter, owner.locale, owner.displayName);
}

async function resetParts(deps: LinkMailNeeds, token: OneTimeToken): Promise<MailParts | undefined> {
  const owner = await addresseeOf(deps.db, token.email);
  if (owner === undefined || hasEnded(owner) || (token.userId !== null && token.userId !== owner.userId)) return undefined;
  if (!(await inTx(deps.db, (tx) => assignToken(tx, token.id, owner.userId)))) return undefined;
  const words = signInLetters[owner.locale];
  const proofs = { ...(await proofsOf(deps, token.id)), username: owner.username };
  if (token.purpose === "invitation") return writeLetter(words.invited(proofs), owner.locale, owner.displayName);
  return writeLetter(isForced(token) ? words.mustReset(proofs) : words.resetPassword(proofs), owner.locale, owner.displayName);
}

async function signInParts(deps: LinkMailNeeds, token: OneTimeToken): Promise<MailParts | undefined> {
  const owner = await addresseeOf(deps.db, token.email);
  if (owner === undefined || hasEnded(owner) || !(await inTx(deps.db, (tx) => assignToken(tx, token.id, owner.userId)))) return undefined;
  const tokens = await deps.openOneTimeTokens();
  const { emailSignInUrl } = deps.config;
  // After `#`: it reaches no server, and no log of one.
  const url = emailSignInUrl === undefined ? undefined : `${emailSignInUrl}#token=${tokens.linkText(token.id)}`;
  return writeLetter(signInLetters[owner.locale].signIn({ code: tokens.code(token.id), url }), owner.locale, owner.displayName);
}

function isForced({ data }: OneTimeToken): boolean {
  return typeof data === "object" && data !== null && "forced" in data && data.forced === true;
}

/** Link and code of a token. The link leads to a page of ours, whatever Host a request had. */
export async function proofsOf(
  deps: Pick<LinkMailNeeds, "config" | "openOneTimeTokens">,
  tokenId: string,
): Promise<{ readonly url: string; readonly code: string }> {
  const tokens = await deps.openOneTimeTokens();
  return { url: `${deps.config.publicUrl}/confirm/${tokens.linkText(tokenId)}`, code: tokens.code(tokenId) };
}
