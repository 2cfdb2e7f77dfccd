/** The keys that sign access tokens (ES256), authenticate refresh tokens (HMAC) and seal secrets in the database; their stored form is JSON for a secret store. */

import {
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  hkdfSync,
  randomBytes,
  type KeyObject,
} from "node:crypto";
import { z } from "zod";
import { systemClock } from "#src/kernel/clock";

/** The times of a key. What it may do when follows from them: `key-states.ts`. */
export interface KeyTimes {
  readonly kid: string;
  /** Unknown of keys from before there was rotation. */
  readonly createdAt: Date | undefined;
  /** It signs from then on; before, it is accepted only. Undefined: from the beginning. */
  readonly notBefore: Date | undefined;
  /** Since when another one signs. Undefined while it is to go on. */
  readonly retiredAt: Date | undefined;
}

/** A pair that signs and verifies access tokens. */
export interface AccessKey extends KeyTimes {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** A key under which refresh tokens carry their MAC. */
export interface RefreshKey extends KeyTimes {
  readonly secret: KeyObject;
}

/** A key under which secrets are kept in the database. It is never dropped while something is sealed with it. */
export interface SealingKey {
  readonly kid: string;
  readonly secret: KeyObject;
}

/** Newest first. */
export interface KeyRing {
  readonly accessKeys: readonly [AccessKey, ...AccessKey[]];
  readonly refreshKeys: readonly [RefreshKey, ...RefreshKey[]];
  readonly sealingKeys: readonly [SealingKey, ...SealingKey[]];
}

const times = {
  kid: z.string().regex(/^[A-Za-z0-9_-]{1,40}$/, "expected 1 to 40 of A-Z a-z 0-9 _ -"),
  createdAt: z.iso.datetime("expected a time like 2026-11-27T12:00:00.000Z").optional(),
  notBefore: z.iso.datetime("expected a time like 2026-11-27T12:00:00.000Z").optional(),
  retiredAt: z.iso.datetime("expected a time like 2026-11-27T12:00:00.000Z").optional(),
};
const accessKey = z.object({ ...times, pkcs8: z.string() });
const refreshKey = z.object({ ...times, secret: z.string() });
const sealingKey = z.object({ kid: times.kid, secret: z.string(), createdAt: times.createdAt });
const stored = z.object({
  accessKeys: z
    .tuple([accessKey], accessKey)
    .refine(...oneGoesOn())
    .refine(...noneTwice()),
  refreshKeys: z
    .tuple([refreshKey], refreshKey)
    .refine(...oneGoesOn())
    .refine(...noneTwice()),
  // A ring of before second factors has none: its own follows from the oldest refresh key.
  sealingKeys: z
    .tuple([sealingKey], sealingKey)
    .refine(...noneTwice())
    .optional(),
});

/** The form in the secret store. A version that knows no times reads it too: it passes over them. */
export type StoredKeyRing = z.infer<typeof stored>;
export type StoredAccessKey = z.infer<typeof accessKey>;
export type StoredRefreshKey = z.infer<typeof refreshKey>;
export type StoredSealingKey = z.infer<typeof sealingKey>;

function oneGoesOn(): [(keys: readonly { readonly retiredAt?: string | undefined }[]) => boolean, string] {
  return [(keys) => keys.some((key) => key.retiredAt === undefined), "all are retired, none would sign"];
}

function noneTwice(): [(keys: readonly { readonly kid: string }[]) => boolean, string] {
  return [(keys) => new Set(keys.map(({ kid }) => kid)).size === keys.length, "two have the same kid"];
}

/** A ring that must not be used. The message says what is wrong and where, and holds nothing of the keys. */
export class KeyRingRefused extends Error {}

/** The stored form of a new ring with one key of each kind, both of which sign at once. */
export function generateKeyRing(now: Date = systemClock.now()): string {
  const createdAt = now.toISOString();
  const ring: StoredKeyRing = {
    accessKeys: [{ ...newAccessKey(), createdAt }],
    refreshKeys: [{ ...newSecretKey(), createdAt }],
    sealingKeys: [{ ...newSecretKey(), createdAt }],
  };
  return JSON.stringify(ring);
}

/** A pair without its times. */
export function newAccessKey(): StoredAccessKey {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { kid: newKid(), pkcs8: privateKey.export({ type: "pkcs8", format: "der" }).toString("base64") };
}

/** A secret without its times. */
export function newSecretKey(): StoredRefreshKey & StoredSealingKey {
  return { kid: newKid(), secret: randomBytes(32).toString("base64") };
}

function newKid(): string {
  return randomBytes(9).toString("base64url");
}

/** Reads the stored form without looking into the keys. @throws KeyRingRefused */
export function readStoredKeyRing(text: string): StoredKeyRing {
  const parsed = stored.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const what = (issue?.message ?? "damaged").replace(/^Invalid input: /, "").replace("expected tuple", "expected a list");
  throw new KeyRingRefused(`${placeOf(issue?.path ?? [])}: ${what}`);
}

/** What Node says of bad JSON may quote it; where it went wrong is enough. */
function jsonOf(text: string): unknown {
  if (text.trim() === "") throw new KeyRingRefused("it is empty");
  try {
    return JSON.parse(text);
  } catch (error) {
    const at = /\(line \d+ column \d+\)/.exec(String(error))?.[0];
    throw new KeyRingRefused(`it is not JSON${at === undefined ? "" : ` ${at}`}`);
  }
}

function placeOf(path: readonly PropertyKey[]): string {
  const place = path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("");
  return place === "" ? "the ring" : place.replace(/^\./, "");
}

/** Reads the stored form. @throws KeyRingRefused also when a key is not of the P-256 curve or shorter than 32 bytes */
export function parseKeyRing(text: string): KeyRing {
  const ring = readStoredKeyRing(text);
  return {
    accessKeys: mapAll(ring.accessKeys, readAccessKey),
    refreshKeys: mapAll(ring.refreshKeys, (key, index) => ({ ...timesOf(key), secret: secretOf(key, `refreshKeys[${index}]`) })),
    sealingKeys: mapAll(sealingKeysOf(ring), (key, index) => ({ kid: key.kid, secret: secretOf(key, `sealingKeys[${index}]`) })),
  };
}

/** The sealing keys of a ring, also of one that says none: what is sealed must open after the refresh keys were rotated too. */
export function sealingKeysOf({ sealingKeys, refreshKeys }: StoredKeyRing): [StoredSealingKey, ...StoredSealingKey[]] {
  if (sealingKeys !== undefined) return sealingKeys;
  const oldest = refreshKeys.at(-1) ?? refreshKeys[0];
  const secret = hkdfSync("sha256", Buffer.from(oldest.secret, "base64"), "", "user-service sealing key", 32);
  return [{ kid: `of-${oldest.kid}`.slice(0, 40), secret: Buffer.from(secret).toString("base64") }];
}

function mapAll<From, To>(list: readonly [From, ...From[]], each: (one: From, index: number) => To): [To, ...To[]] {
  const [first, ...rest] = list;
  return [each(first, 0), ...rest.map((one, index) => each(one, index + 1))];
}

function readAccessKey(key: StoredAccessKey, index: number): AccessKey {
  const privateKey = privateKeyOf(key.pkcs8, index);
  if (privateKey.asymmetricKeyDetails?.namedCurve !== "prime256v1") throw new KeyRingRefused(`accessKeys[${index}].pkcs8: not a P-256 key`);
  return { ...timesOf(key), privateKey, publicKey: createPublicKey(privateKey) };
}

function privateKeyOf(pkcs8: string, index: number): KeyObject {
  try {
    return createPrivateKey({ key: Buffer.from(pkcs8, "base64"), format: "der", type: "pkcs8" });
  } catch {
    throw new KeyRingRefused(`accessKeys[${index}].pkcs8: not a private key in PKCS #8, base64`);
  }
}

function secretOf(key: { readonly secret: string }, place: string): KeyObject {
  const secret = Buffer.from(key.secret, "base64");
  if (secret.length < 32) throw new KeyRingRefused(`${place}.secret: shorter than 32 bytes`);
  return createSecretKey(secret);
}

/** The times of a stored key. */
export function timesOf({ kid, createdAt, notBefore, retiredAt }: StoredAccessKey | StoredRefreshKey): KeyTimes {
  return { kid, createdAt: dateOf(createdAt), notBefore: dateOf(notBefore), retiredAt: dateOf(retiredAt) };
}

function dateOf(text: string | undefined): Date | undefined {
  return text === undefined ? undefined : new Date(text);
}
