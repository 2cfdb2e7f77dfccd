/** Cookie mode: the refresh token as a cookie, taken only together with what proves that a page of ours sends it. DESIGN §5, ADR 20. */

import type { Client } from "#src/kernel/actor";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem, inputInvalid } from "#src/kernel/problem";
import type { SessionTokens } from "./begin-session.ts";
import { createCsrfTokens } from "./csrf-token.ts";
import type { KeyRingSource } from "./key-ring-source.ts";
import type { RefreshTokens } from "./refresh-token.ts";
import { csrfRefused } from "./sessions.errors.ts";

/** Headers and cookies of the request, as far as its route declares them. */
interface Head {
  readonly header: (name: string) => string | undefined;
  readonly cookies: (name: string) => readonly string[];
}

/** A refresh token, and how it came. */
export interface Presented {
  readonly by: "body" | "cookie";
  readonly refreshToken: string;
}

export interface SessionCookies {
  /**
   * Whether the client asks for cookie mode.
   * @throws Problem `csrf.refused` when a page that is not ours does, `input.invalid` for a mode that we do not know
   */
  readonly areWanted: (head: Head, client: Client) => boolean;
  /**
   * The one refresh token of a request.
   * @throws Problem `input.invalid` for none or several, `csrf.refused` for a cookie without proof of where it was sent from
   */
  readonly presented: (head: Head, inBody: string | undefined, client: Client) => Presented;
  /** What sign-in answers: its tokens as they are, or with the refresh token in a cookie. */
  readonly signInAnswer: <Tokens extends SignInTokens>(tokens: Tokens, asCookie: boolean) => CookieAnswer<Tokens>;
  /** The token of a trusted device that the browser keeps; undefined without one, and for several: one was planted then. */
  readonly deviceToken: (head: Pick<Head, "cookies">) => string | undefined;
  /** The header that sets a session's cookie. @param seconds that are left of the session */
  readonly set: (refreshToken: string, seconds: number) => Readonly<Record<string, string>>;
  /** The header that takes the cookie away. */
  readonly clear: Readonly<Record<string, string>>;
  /** What the page must send along with the cookie. */
  readonly csrfToken: (sessionId: string) => string;
}

/** What a sign-in ends with. The token of a device that is trusted does half of one, so it is a cookie as well. */
interface SignInTokens extends SessionTokens {
  readonly deviceToken?: string;
  readonly trustedUntil?: string;
}

interface CookieAnswer<Tokens extends SignInTokens> {
  readonly body: Tokens | Omit<Omit<Tokens, "refreshToken">, "deviceToken">;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
}

export interface SessionCookiesOptions {
  readonly keyRing: KeyRingSource;
  readonly refreshTokens: RefreshTokens;
  readonly log: Log;
  /** Whether clients reach us by https. Only then a browser takes a cookie of the prefix `__Host-`. */
  readonly secure: boolean;
  /** Whether pages of this origin may use the cookie. */
  readonly allowsOrigin: (origin: string) => boolean;
}

const MODE = "X-Session-Mode";
const CSRF = "X-CSRF-Token";
const SECURE_NAME = "__Host-refresh";
const PLAIN_NAME = "refresh";
const SECURE_DEVICE = "__Host-device";
const PLAIN_DEVICE = "device";

const ORIGIN_READ = { Origin: "Of the page, as browsers send it; in cookie mode ours, or one of CORS_ORIGINS" } as const;

/** What routes that begin a session read of the head. */
export const signInReads = {
  headers: { ...ORIGIN_READ, [MODE]: "`cookie`: the refresh token comes as a cookie, with `csrfToken` in the body" },
} as const;
/** What login reads of the head. */
export const loginReads = {
  headers: signInReads.headers,
  cookies: {
    [SECURE_DEVICE]: "The token of a trusted device, in cookie mode",
    [PLAIN_DEVICE]: "The same where PUBLIC_URL is http (development)",
  },
} as const;
/** What refresh reads of the head. */
export const refreshReads = {
  headers: { ...ORIGIN_READ, [CSRF]: "With the cookie: `csrfToken` of the last answer" },
  cookies: { [SECURE_NAME]: "The refresh token in cookie mode", [PLAIN_NAME]: "The same where PUBLIC_URL is http (development)" },
} as const;
/** What logout reads of the head. */
export const logoutReads = { headers: { [MODE]: "`cookie`: the answer takes the cookie away" } } as const;

/** Cookie mode for clients that reach the service as configured. */
export function createSessionCookies({ keyRing, refreshTokens, log, secure, allowsOrigin }: SessionCookiesOptions): SessionCookies {
  const csrfTokens = createCsrfTokens(keyRing);
  const [name, deviceName] = secure ? [SECURE_NAME, SECURE_DEVICE] : [PLAIN_NAME, PLAIN_DEVICE];
  const refuse = (client: Client, reason: string): never => {
    securityEvent(log, { kind: "csrf.refused", address: client.address, reason });
    throw new Problem(csrfRefused);
  };
  const cookie = (of: string, value: string, seconds: number): string =>
    `${of}=${value}; Max-Age=${Math.max(0, Math.floor(seconds))}; Path=/; HttpOnly; ${secure ? "Secure; " : ""}SameSite=Lax`;
  const set = (value: string, seconds: number): { readonly "Set-Cookie": string } => ({ "Set-Cookie": cookie(name, value, seconds) });
  const clear = set("", 0);
  const deviceCookies = ({ deviceToken, trustedUntil, session }: SignInTokens): readonly string[] =>
    deviceToken === undefined || trustedUntil === undefined
      ? []
      : [cookie(deviceName, deviceToken, secondsOf(session.createdAt, trustedUntil))];
  return {
    set,
    clear,
    csrfToken: csrfTokens.of,
    deviceToken: (head) => {
      const [token, ...more] = head.cookies(deviceName);
      return more.length === 0 ? token : undefined;
    },
    areWanted: (head, client) => {
      if (!asksForCookies(head)) return false;
      const origin = head.header("Origin");
      // No page can send the mode's header elsewhere without a preflight; programs that are no browser send no origin.
      return origin === undefined || allowsOrigin(origin) || refuse(client, "origin");
    },
    presented: (head, inBody, client) => {
      const cookies = head.cookies(name);
      const refreshToken = onlyOne(cookies, inBody);
      if (cookies.length === 0) return { by: "body", refreshToken };
      const origin = head.header("Origin");
      if (origin === undefined || !allowsOrigin(origin)) return refuse(client, "origin");
      const proof = head.header(CSRF);
      if (proof === undefined) return refuse(client, "no_token");
      // What is no token of ours has no session to be bound to, and is refused as such by refresh itself.
      const token = refreshTokens.parse(refreshToken);
      if (typeof token !== "string" && !csrfTokens.fits(token.sessionId, proof)) return refuse(client, "token");
      return { by: "cookie", refreshToken };
    },
    signInAnswer: (tokens, asCookie) => {
      if (!asCookie) return { body: tokens };
      const { refreshToken, ...rest } = tokens;
      const trusted = deviceCookies(tokens);
      const { deviceToken: _, ...kept } = rest;
      const told = trusted.length === 0 ? rest : kept;
      const { id, createdAt, expiresAt } = tokens.session;
      // The short session of a restricted account has none. A cookie of before would soon make somebody else of its client.
      const session = refreshToken === undefined ? clear["Set-Cookie"] : cookie(name, refreshToken, secondsOf(createdAt, expiresAt));
      const body = refreshToken === undefined ? told : { ...told, csrfToken: csrfTokens.of(id) };
      return { body, headers: { "Set-Cookie": [session, ...trusted] } };
    },
  };
}

/** Whether the request is of a client in cookie mode. @throws Problem `input.invalid` for a mode that we do not know */
export function asksForCookies(head: Pick<Head, "header">): boolean {
  const mode = head.header(MODE);
  if (mode === undefined || mode === "cookie") return mode !== undefined;
  throw new Problem(inputInvalid, { errors: [{ path: `headers.${MODE}`, message: "must be cookie, or left out" }] });
}

function secondsOf(from: string, until: string): number {
  return (Date.parse(until) - Date.parse(from)) / 1_000;
}

/** Of two tokens none is taken: whoever planted the second one would else decide which. */
function onlyOne(cookies: readonly string[], inBody: string | undefined): string {
  const [token, ...more] = inBody === undefined ? cookies : [inBody, ...cookies];
  if (token === undefined) throw new Problem(inputInvalid, { errors: [{ path: "body.refreshToken", message: "is required" }] });
  if (more.length === 0) return token;
  const message = inBody === undefined ? "came in two cookies of one name" : "came in the body and as a cookie";
  throw new Problem(inputInvalid, { errors: [{ path: "body.refreshToken", message }] });
}
