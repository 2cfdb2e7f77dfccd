/** Which pages of other origins may call us: an allow-list, never a reflection (compare @koa/cors CVE-2023-49803). */

import type { IncomingHttpHeaders } from "node:http";

/** Decides on the `Origin` of a request, and writes the headers that tell the browser. */
export interface Cors {
  /** Whether a page of this origin may call us. */
  readonly allows: (origin: string) => boolean;
  /** Whether it may do so with cookies: only where the origin is on the list letter by letter. */
  readonly allowsCookies: (origin: string) => boolean;
  /** Headers for an answer to a request of this origin, flat: name, value, name, value. */
  readonly answerHeaders: (origin: string | undefined) => readonly string[];
  /** Headers for the answer to a preflight, or nothing when the request is none. */
  readonly preflightHeaders: (method: string | undefined, headers: IncomingHttpHeaders) => readonly string[] | undefined;
}

/**
 * The entry of `corsOrigins` that stands for http on any port of this machine; for development. Not with cookies: to a browser all
 * those ports are one site, so whatever listens on one of them could use what another one's page has.
 */
const LOCALHOST = "localhost-any-port";
const LOCALHOST_ORIGIN = /^http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/;

const EXPOSED = "Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Location";
const VARY = ["Vary", "Origin"];

/**
 * @param origins exact origins (`https://app.example.com`), or `localhost-any-port`
 */
export function createCors(origins: readonly string[]): Cors {
  const exact = new Set(origins.filter((origin) => origin !== LOCALHOST));
  const localhost = origins.includes(LOCALHOST);
  const allows = (origin: string): boolean => exact.has(origin) || (localhost && LOCALHOST_ORIGIN.test(origin));
  const allowed = (origin: string): string[] => [
    ...VARY,
    "Access-Control-Allow-Origin",
    origin,
    ...(exact.has(origin) ? ["Access-Control-Allow-Credentials", "true"] : []),
  ];
  return {
    allows,
    allowsCookies: (origin) => exact.has(origin),
    answerHeaders: (origin) =>
      origin === undefined || !allows(origin) ? VARY : [...allowed(origin), "Access-Control-Expose-Headers", EXPOSED],
    preflightHeaders: (method, { origin, "access-control-request-method": asked }) => {
      if (method !== "OPTIONS" || origin === undefined || asked === undefined) return undefined;
      if (!allows(origin)) return VARY;
      return [
        ...allowed(origin),
        "Access-Control-Allow-Methods",
        "GET, HEAD, POST, PUT, PATCH, DELETE",
        "Access-Control-Allow-Headers",
        "Authorization, Content-Type, Idempotency-Key, Traceparent, X-CSRF-Token, X-Session-Mode",
        "Access-Control-Max-Age",
        "600",
      ];
    },
  };
}
