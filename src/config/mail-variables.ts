/** SMTP_URL and MAIL_FROM: text in, parts out. No message repeats what was given: a password may be in it. */

import { isIPv4 } from "node:net";
import { z } from "zod";
import { Secret } from "#src/kernel/secret";

/** The server that takes our mail. */
export interface SmtpServer {
  readonly host: string;
  readonly port: number;
  /** `starttls`: no word more without it; `implicit`: from the first byte; `off`: plain text. */
  readonly tls: "starttls" | "implicit" | "off";
  readonly login: { readonly user: string; readonly password: Secret<string> } | undefined;
}

/** Whom mail is from. */
export interface MailSender {
  readonly name: string | undefined;
  readonly address: string;
}

/** RFC 6409 and RFC 8314. */
const SUBMISSION_PORT = 587;
const SUBMISSIONS_PORT = 465;

/** `smtp://` (STARTTLS, or none with `?tls=off`) or `smtps://`. */
export const smtpUrl = z.string().transform((text, context): SmtpServer => {
  const server = parseSmtpUrl(text);
  if (typeof server !== "string") return server;
  context.addIssue({ code: "custom", message: server });
  return z.NEVER;
});

/** @returns the server, or what would be right */
function parseSmtpUrl(text: string): SmtpServer | string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.hostname === "" || !["smtp:", "smtps:"].includes(url.protocol))
    return "a URL like smtp://user:password@host:587 or smtps://user:password@host:465";
  const flaw = flawOf(url);
  if (flaw !== undefined) return flaw;
  const login = loginOf(url);
  if (typeof login === "string") return login;
  const tls = tlsOf(url);
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1").toLowerCase();
  if (tls === "off" && login !== undefined && !isLoopback(host))
    return "without user and password where it says ?tls=off: only to this machine do they go in plain text";
  const usualPort = tls === "implicit" ? SUBMISSIONS_PORT : SUBMISSION_PORT;
  return { host, port: url.port === "" ? usualPort : Number(url.port), tls, login };
}

function flawOf({ protocol, pathname, hash, search, port }: URL): string | undefined {
  if (!["", "/"].includes(pathname) || hash !== "") return "a URL that ends with host and port; `#` and `/` are %23 and %2F";
  if (!["", "?tls=off"].includes(search)) return "without options but ?tls=off";
  if (search !== "" && protocol === "smtps:") return "smtp:// with ?tls=off: smtps:// is TLS";
  return port === "0" ? "a URL with a port from 1 to 65535" : undefined;
}

function tlsOf({ protocol, search }: URL): SmtpServer["tls"] {
  if (protocol === "smtps:") return "implicit";
  return search === "" ? "starttls" : "off";
}

function loginOf(url: URL): SmtpServer["login"] | string {
  if (url.username === "" && url.password === "") return undefined;
  const [user, password] = [decoded(url.username), decoded(url.password)];
  if (user === undefined || password === undefined) return "a URL whose user and password are percent-encoded (`%` is %25)";
  if (user === "" || password === "") return "a URL with both user and password, or neither";
  return { user, password: new Secret(password) };
}

/** Nothing for what is not percent-encoded text, or has a control character that would end a line or a field of the protocol. */
function decoded(part: string): string | undefined {
  try {
    const text = decodeURIComponent(part);
    return /\p{Cc}/u.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}

const emailAddress = z.email().max(254);

/** `no-reply@example.com`, or `Name <no-reply@example.com>`. */
export const mailFrom = z.string().transform((text, context): MailSender => {
  const named = /^\s*(?:"([^"<>\\\p{Cc}]{0,100})"|([^"<>\\\p{Cc}]{0,100}?))\s*<([^<>]*)>\s*$/u.exec(text);
  const name = (named?.[1] ?? named?.[2] ?? "").trim();
  const address = emailAddress.safeParse(named === null ? text.trim() : named[3]);
  if (address.success) return { name: name === "" ? undefined : name, address: address.data };
  context.addIssue({ code: "custom", message: "an address like no-reply@example.com or Name <no-reply@example.com>" });
  return z.NEVER;
});
