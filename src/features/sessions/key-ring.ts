/** The keys that sign access tokens (ES256) and authenticate refresh tokens (HMAC). Read once at start. */

import {
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  randomBytes,
  type JsonWebKey,
  type KeyObject,
} from "node:crypto";
import { z } from "zod";

/** A pair that signs and verifies access tokens. */
export interface AccessKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** A key under which refresh tokens carry their MAC. */
export interface RefreshKey {
  readonly kid: string;
  readonly secret: KeyObject;
}

/** Newest first: the first signs, the others are still accepted. */
export interface KeyRing {
  readonly accessKeys: readonly [AccessKey, ...AccessKey[]];
  readonly refreshKeys: readonly [RefreshKey, ...RefreshKey[]];
}

const kid = z.string().regex(/^[A-Za-z0-9_-]{1,40}$/);
const stored = z.object({
  accessKeys: z.tuple([z.object({ kid, pkcs8: z.string() })], z.object({ kid, pkcs8: z.string() })),
  refreshKeys: z.tuple([z.object({ kid, secret: z.string() })], z.object({ kid, secret: z.string() })),
});

/** The stored form of a new ring with one key of each kind: JSON for the secret store. */
export function generateKeyRing(): string {
  return JSON.stringify({ accessKeys: [newAccessKey()], refreshKeys: [newRefreshKey()] });
}

function newAccessKey(): { kid: string; pkcs8: string } {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { kid: randomBytes(9).toString("base64url"), pkcs8: privateKey.export({ type: "pkcs8", format: "der" }).toString("base64") };
}

function newRefreshKey(): { kid: string; secret: string } {
  return { kid: randomBytes(9).toString("base64url"), secret: randomBytes(32).toString("base64") };
}

/**
 * Reads the stored form.
 * @throws Error when it is damaged, or a key is not of the P-256 curve or shorter than 32 bytes
 */
export function parseKeyRing(text: string): KeyRing {
  const parsed = stored.parse(JSON.parse(text));
  return {
    accessKeys: mapAll(parsed.accessKeys, readAccessKey),
    refreshKeys: mapAll(parsed.refreshKeys, readRefreshKey),
  };
}

function mapAll<From, To>(list: readonly [From, ...From[]], each: (one: From) => To): [To, ...To[]] {
  const [first, ...rest] = list;
  return [each(first), ...rest.map(each)];
}

function readAccessKey(key: { kid: string; pkcs8: string }): AccessKey {
  const privateKey = createPrivateKey({ key: Buffer.from(key.pkcs8, "base64"), format: "der", type: "pkcs8" });
  if (privateKey.asymmetricKeyDetails?.namedCurve !== "prime256v1") throw new Error(`access key ${key.kid} is not a P-256 key`);
  return { kid: key.kid, privateKey, publicKey: createPublicKey(privateKey) };
}

function readRefreshKey(key: { kid: string; secret: string }): RefreshKey {
  const secret = Buffer.from(key.secret, "base64");
  if (secret.length < 32) throw new Error(`refresh key ${key.kid} is shorter than 32 bytes`);
  return { kid: key.kid, secret: createSecretKey(secret) };
}

/** The public halves as a JWK Set (RFC 7517) for `/.well-known/jwks.json`. */
export function jwks(ring: KeyRing): { readonly keys: readonly JsonWebKey[] } {
  return {
    keys: ring.accessKeys.map((key) => ({ ...key.publicKey.export({ format: "jwk" }), kid: key.kid, alg: "ES256", use: "sig" })),
  };
}
