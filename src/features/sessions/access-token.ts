/** Access tokens: JWT ES256, `typ: at+jwt` (RFC 9068), 15 minutes; verified ones are remembered by their SHA-256. */

import { hash, type KeyObject } from "node:crypto";
import jwt from "jsonwebtoken";
import { LRUCache } from "lru-cache";
import type { Role } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { isUuid } from "#src/kernel/ids";
import { Problem } from "#src/kernel/problem";
import { randomBytes } from "#src/kernel/random";
import type { KeyRing } from "./key-ring.ts";
import { tokenExpired, tokenInvalid } from "./sessions.errors.ts";

export const ACCESS_TOKEN_SECONDS = 15 * 60;

/** What a verified token says. Whether its session still stands is the gate's to find out. */
export interface AccessClaims {
  readonly sub: string;
  readonly sid: string;
  /** Seconds since 1970. */
  readonly exp: number;
}

export interface AccessTokens {
  /** Signs a token for this session, good for `ACCESS_TOKEN_SECONDS`. */
  readonly issue: (session: { readonly userId: string; readonly sessionId: string; readonly roles: readonly Role[] }) => string;
  /** @throws Problem `token.invalid`, `token.expired` */
  readonly verify: (token: string) => AccessClaims;
}

interface Needs {
  readonly ring: KeyRing;
  readonly clock: Clock;
  readonly issuer: string;
  readonly audiences: readonly string[];
}

/** A token of ours has about 500 characters. */
const MAX_LENGTH = 2_048;
const REMEMBERED = 50_000;
/** 64 bytes; for any other length jsonwebtoken throws a TypeError, as for a bug. */
const SIGNATURE = /^[A-Za-z0-9_-]{86}$/;

/**
 * RFC 8725: our one algorithm, our `typ`, issuer and audience, `exp` required, and no header member beyond `alg`, `typ`,
 * `kid`, so no key can be handed in.
 */
export function createAccessTokens(needs: Needs): AccessTokens {
  const [signer] = needs.ring.accessKeys;
  const [audience] = needs.audiences;
  if (audience === undefined) throw new Error("an audience of our own is needed");
  const keys = new Map(needs.ring.accessKeys.map((key) => [key.kid, key.publicKey]));
  const verified = new LRUCache<string, AccessClaims>({ max: REMEMBERED });
  return {
    issue: (session) =>
      jwt.sign({ sid: session.sessionId, roles: session.roles, iat: seconds(needs.clock) }, signer.privateKey, {
        algorithm: "ES256",
        header: { alg: "ES256", typ: "at+jwt", kid: signer.kid },
        subject: session.userId,
        issuer: needs.issuer,
        audience: [...needs.audiences],
        expiresIn: ACCESS_TOKEN_SECONDS,
        jwtid: randomBytes(12).toString("base64url"),
      }),
    verify: (token) => {
      if (token.length > MAX_LENGTH) throw new Problem(tokenInvalid);
      const digest = hash("sha256", token, "base64");
      const known = verified.get(digest);
      const claims = known ?? check(token, { keys, issuer: needs.issuer, audience, nowSeconds: seconds(needs.clock) });
      if (claims.exp <= seconds(needs.clock)) throw new Problem(tokenExpired);
      if (known === undefined) verified.set(digest, claims);
      return claims;
    },
  };
}

function seconds(clock: Clock): number {
  return Math.floor(clock.now().getTime() / 1000);
}

interface Expected {
  readonly keys: ReadonlyMap<string, KeyObject>;
  readonly issuer: string;
  readonly audience: string;
  readonly nowSeconds: number;
}

function check(token: string, expected: Expected): AccessClaims {
  const key = expected.keys.get(keyIdOf(token));
  if (key === undefined) throw new Problem(tokenInvalid);
  const claims = verifySignature(token, key, expected);
  const { sub, exp } = claims;
  const sid: unknown = claims["sid"];
  if (typeof sub !== "string" || typeof sid !== "string" || typeof exp !== "number" || !isUuid(sub) || !isUuid(sid))
    throw new Problem(tokenInvalid);
  return { sub, sid, exp };
}

function verifySignature(token: string, key: KeyObject, expected: Expected): jwt.JwtPayload {
  try {
    const { issuer, audience, nowSeconds: clockTimestamp } = expected;
    const claims = jwt.verify(token, key, { algorithms: ["ES256"], issuer, audience, clockTimestamp });
    if (typeof claims === "string") throw new Problem(tokenInvalid);
    return claims;
  } catch (error) {
    if (error instanceof jwt.TokenExpiredError) throw new Problem(tokenExpired);
    if (error instanceof jwt.JsonWebTokenError || error instanceof SyntaxError) throw new Problem(tokenInvalid);
    throw error;
  }
}

/** The `kid` of a well-formed header of ours: only ever a key of a Map, never a path or query. */
function keyIdOf(token: string): string {
  const parts = token.split(".");
  const header = parts.length === 3 && SIGNATURE.test(parts[2] ?? "") ? parseHeader(parts[0] ?? "") : undefined;
  if (header === undefined || header["alg"] !== "ES256" || header["typ"] !== "at+jwt" || typeof header["kid"] !== "string")
    throw new Problem(tokenInvalid);
  if (Object.keys(header).length !== 3) throw new Problem(tokenInvalid);
  return header["kid"];
}

function parseHeader(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const header: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return typeof header === "object" && header !== null ? (header as Record<string, unknown>) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
