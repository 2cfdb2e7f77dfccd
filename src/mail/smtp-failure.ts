/** What went wrong between us and a mail server, in words that hold neither a credential nor an address. Pure. */

import type { Secret } from "#src/kernel/secret";

/** What we read of an error of nodemailer. */
export interface SmtpError {
  readonly message: string;
  /** Its class, e.g. `EENVELOPE`. */
  readonly code?: string | undefined;
  /** What the system called it, e.g. `ECONNREFUSED`. */
  readonly originalCode?: string | undefined;
  /** What was said to the server: `AUTH PLAIN`, `RCPT TO`, `DATA`. */
  readonly command?: string | undefined;
  /** The whole reply. */
  readonly response?: string | undefined;
  readonly responseCode?: number | undefined;
}

export interface SmtpFailure {
  /** Codes only, for people who look at health: `EENVELOPE 550 5.1.1`. */
  readonly summary: string;
  /** With the server's words, for the log and the row of the job. */
  readonly reason: string;
  /** Whether the same message would be refused again, whatever we do. */
  readonly isFinal: boolean;
}

/** Characters that are kept of a reply, and that are looked at: a server may send a megabyte. */
const KEPT = 300;
const READ = 1_000;

/** Says what an error means. @param secrets are cut out should the server repeat them */
export function smtpFailure(error: SmtpError, secrets: readonly Secret<string>[] = []): SmtpFailure {
  const { code, originalCode, responseCode } = error;
  const parts = [code, originalCode, responseCode, enhancedStatus(error)].filter((part) => part !== undefined);
  const summary = parts.length > 0 ? parts.join(" ") : "no code";
  // Replies to AUTH may hold what was sent: only their codes are kept.
  const isLogin = code === "EAUTH" || (error.command ?? "").startsWith("AUTH");
  const words = isLogin
    ? "the server does not take user and password"
    : harmless(error.response ?? (error.message || "no connection"), secrets);
  return { summary, reason: `${summary}: ${words}`, isFinal: isFinal(error) };
}

/**
 * A 5yz reply to the recipient or the message is final (RFC 5321, 4.2.1). All others are tried again, those to MAIL FROM and
 * AUTH with them: what is wrong is how we are set up, and once that is mended the mail shall still go out. So do 503 and 530
 * (RFC 5321, RFC 4954), and X.7.Z (RFC 3463, 3.8): relaying or reputation, that is us again.
 */
function isFinal(error: SmtpError): boolean {
  const { command, code, responseCode = 0 } = error;
  const isOfThisMail = command === "RCPT TO" || (code === "EMESSAGE" && command === "DATA");
  const isOfUs = responseCode === 503 || responseCode === 530 || enhancedStatus(error)?.startsWith("5.7.") === true;
  return isOfThisMail && responseCode >= 500 && responseCode < 600 && !isOfUs;
}

/** `5.1.1` of `550 5.1.1 No such user`. */
function enhancedStatus({ response }: SmtpError): string | undefined {
  return /^\d{3}[ -]([245]\.\d{1,3}\.\d{1,3})\b/.exec(response ?? "")?.[1];
}

function harmless(words: string, secrets: readonly Secret<string>[]): string {
  const shown = secrets
    .flatMap((secret) => [secret.reveal(), Buffer.from(secret.reveal()).toString("base64")])
    .reduce((text, hidden) => text.replaceAll(hidden, "[secret]"), words);
  // Of a word that was cut the rest might have told that it is an address.
  const read = shown.length > READ ? shown.slice(0, READ).replace(/\S*$/, "") : shown;
  return read
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ")
    .replaceAll(/[^\s<>"',;:]+@[^\s<>"',;:]+/g, "(address)")
    .slice(0, KEPT);
}
