/** Access tokens: JWT ES256, `typ: at+jwt` (RFC 9068), 15 minutes; verified ones are remembered by their SHA-256. */

import { hash, type KeyObject } from "node:crypto";
import jwt from "jsonwebtoken";
import { LRUCache } from "lru-cache";
import type { Role } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { isUuid } from "#src/kernel/ids";
import { Problem } from "#src/kernel/problem";
import { randomBytes } from "#src/kernel/random";
import type { KeyRingSource } from "./key-ring-source.ts";
import { ACCESS_TOKEN_SECONDS } from "./lifetimes.ts";
import { tokenExpired, tokenInvalid } from "./sessions.errors.ts";

/** What a verified token says. Whether its session still stands is the gate's to find out. */
export interface AccessClaims {
  readonly sub: string;
  readonly sid: string;
  /** Seconds since 1970. */
  readonly exp: number;
  /** Of an impersonation: who really acts (`act.sub`, RFC 8693). */
  readonly actorId?: string;
}

/** What a token is issued for. */
export interface TokenSubject {
  readonly userId: string;
  readonly sessionId: string;
  readonly roles: readonly Role[];
  /** Of an impersonation: who really acts, and for how many seconds, `ACCESS_TOKEN_SECONDS` at most. */
  readonly impersonation?: { readonly impersonatorId: string; readonly seconds: number };
}

export interface AccessTokens {
  /** Signs a token for this session, good for `ACCESS_TOKEN_SECONDS`, or as long as an impersonation lasts. */
  readonly issue: (session: TokenSubject) => string;
  /** @throws Problem `token.invalid`, `token.expired` */
  readonly verify: (token: string) => AccessClaims;
}

interface Needs {
  readonly keyRing: KeyRingSource;
  readonly clock: Clock;
  readonly issuer: string;
  readonly audiences: readonly string[];
  /** Tokens that are not verified twice; memory for them is taken at once. */
  readonly capacity?: number;
}

/** A token of ours has about 500 characters. */
const MAX_LENGTH = 2_048;
const CAPACITY = 50_000;
/** 64 bytes; for any other length jsonwebtoken throws a TypeError, as for a bug. */
const SIGNATURE = /^[A-Za-z0-9_-]{85}[AQgw]$/;

/**
 * RFC 8725: our one algorithm, our `typ`, issuer and audience, `exp` required, and no header member beyond `alg`, `typ`,
 * `kid`, so no key can be handed in.
 */
export function createAccessTokens(needs: Needs): AccessTokens {
  const [audience] = needs.audiences;
  if (audience === undefined) throw new Error("an audience of our own is needed");
  const verified = new LRUCache<string, Verified>({ max: needs.capacity ?? CAPACITY });
  return {
    issue: (session) => {
      const { accessSigner: signer } = needs.keyRing.current();
      const { impersonation } = session;
      const act = impersonation === undefined ? {} : { act: { sub: impersonation.impersonatorId } };
      return jwt.sign({ sid: session.sessionId, roles: session.roles, iat: seconds(needs.clock), ...act }, signer.privateKey, {
        algorithm: "ES256",
        header: { alg: "ES256", typ: "at+jwt", kid: signer.kid },
        subject: session.userId,
        issuer: needs.issuer,
        audience: [...needs.audiences],
        expiresIn: Math.min(impersonation?.seconds ?? ACCESS_TOKEN_SECONDS, ACCESS_TOKEN_SECONDS),
        jwtid: randomBytes(12).toString("base64url"),
      });
    },
    verify: (token) => {
      if (token.length > MAX_LENGTH) throw new Problem(tokenInvalid);
      const digest = hash("sha256", token, "base64");
      const { accessKeys: keys } = needs.keyRing.current();
      const known = stillVerified(verified.get(digest), keys);
      const { claims, by } = known ?? check(token, { keys, issuer: needs.issuer, audience, nowSeconds: seconds(needs.clock) });
      if (claims.exp <= seconds(needs.clock)) throw new Problem(tokenExpired);
      if (known === undefined) verified.set(digest, { claims, by });
      return claims;
    },
  };
}

/** Claims, and the key that vouches for them. */
interface Verified {
  readonly claims: AccessClaims;
  readonly by: { readonly kid: string; readonly publicKey: KeyObject };
}

/** Memory counts only while that very key is accepted: what it signed is not when it was revoked or has ended. */
function stillVerified(known: Verified | undefined, keys: ReadonlyMap<string, KeyObject>): Verified | undefined {
  return known !== undefined && keys.get(known.by.kid) === known.by.publicKey ? known : undefined;
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

function check(token: string, expected: Expected): Verified {
  const kid = keyIdOf(token);
  const publicKey = expected.keys.get(kid);
  if (publicKey === undefined) throw new Problem(tokenInvalid);
  const claims = verifySignature(token, publicKey, expected);
  const { sub, exp } = claims;
  const sid: unknown = claims["sid"];
  if (typeof sub !== "string" || typeof sid !== "string" || typeof exp !== "number" || !isUuid(sub) || !isUuid(sid))
    throw new Problem(tokenInvalid);
  const actorId = actorOf(claims["act"]);
  return { claims: { sub, sid, exp, ...(actorId === undefined ? {} : { actorId }) }, by: { kid, publicKey } };
}

/** @throws Problem `token.invalid` for a claim that is there and names nobody */
function actorOf(act: unknown): string | undefined {
  if (act === undefined) return undefined;
  const sub = typeof act === "object" && act !== null && "sub" in act ? act.sub : undefined;
  if (typeof sub !== "string" || !isUuid(sub)) throw new Problem(tokenInvalid);
  return sub;
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
