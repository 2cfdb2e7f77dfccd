/**
 * An authenticator and the browser around it, in software: WebAuthn's JSON (Level 3), attestation `none`. What it
 * says can be bent, for tests of what must be refused.
 */

import { createHash, generateKeyPairSync, sign, type KeyObject, type KeyPairKeyObjectResult } from "node:crypto";
import { randomBytes } from "#src/kernel/random";
import type { AuthenticationResponse, CreationOptions, RegistrationResponse, RequestOptions } from "#src/features/factors/passkeys.schemas";

/** What an answer says in place of the truth. */
export interface Bent {
  readonly origin?: string;
  readonly rpId?: string;
  readonly challenge?: string;
  readonly type?: string;
  readonly crossOrigin?: boolean;
  readonly userVerified?: boolean;
  readonly userPresent?: boolean;
  /** In place of the next one. */
  readonly counter?: number;
  /** In place of the account's; null for none. */
  readonly userHandle?: string | null;
  /** In place of the passkey's own id. */
  readonly id?: string;
  /** In place of `none`, with an empty statement. */
  readonly format?: string;
}

/** One passkey that it holds. */
interface Held {
  readonly id: string;
  readonly key: KeyObject;
  readonly userHandle: string;
  counter: number;
}

export interface Authenticator {
  /** As `navigator.credentials.create`. */
  readonly create: (options: CreationOptions, bent?: Bent) => RegistrationResponse;
  /** As `navigator.credentials.get`, with the newest passkey that may answer. */
  readonly get: (options: RequestOptions, bent?: Bent) => AuthenticationResponse;
  readonly held: readonly Held[];
}

/** As COSE names them. */
type Algorithm = "ES256" | "EdDSA" | "RS256";

const makeKeys = (algorithm: Algorithm, bits: number): KeyPairKeyObjectResult => {
  if (algorithm === "ES256") return generateKeyPairSync("ec", { namedCurve: "P-256" });
  return algorithm === "EdDSA" ? generateKeyPairSync("ed25519") : generateKeyPairSync("rsa", { modulusLength: bits });
};

interface Make {
  readonly origin?: string;
  readonly counts?: boolean;
  readonly algorithm?: Algorithm;
  /** Of RSA keys. */
  readonly bits?: number;
}

/** @param make.counts whether it counts its answers; synced passkeys stay at 0 */
export function createAuthenticator(make: Make = {}): Authenticator {
  const { origin = "http://localhost:3002", counts = true, algorithm = "ES256", bits = 2048 } = make;
  const held: Held[] = [];
  const next = (one: Held, bent: Bent): number => {
    if (counts) one.counter += 1;
    return bent.counter ?? one.counter;
  };
  return {
    held,
    create: (options, bent = {}) => {
      const { privateKey, publicKey } = makeKeys(algorithm, bits);
      const id = bent.id ?? randomBytes(32).toString("base64url");
      const one: Held = { id, key: privateKey, userHandle: options.user.id, counter: 0 };
      held.push(one);
      const authData = Buffer.concat([
        authenticatorData({ rpId: options.rp.id, counter: next(one, bent), hasKey: true }, bent),
        attestedCredential(id, publicKey),
      ]);
      const attestation = map([
        [text("fmt"), text(bent.format ?? "none")],
        [text("attStmt"), map([])],
        [text("authData"), bytes(authData)],
      ]);
      const clientDataJSON = clientData("webauthn.create", options.challenge, { origin, ...bent });
      const response = { clientDataJSON, attestationObject: attestation.toString("base64url"), transports: ["internal", "hybrid"] };
      return { id, rawId: id, type: "public-key", response };
    },
    get: (options, bent = {}) => {
      const allowed = options.allowCredentials.map(({ id }) => id);
      const one = held.findLast(({ id }) => allowed.length === 0 || allowed.includes(id));
      if (one === undefined) throw new Error("this authenticator has no passkey that may answer");
      const authData = authenticatorData({ rpId: options.rpId, counter: next(one, bent), hasKey: false }, bent);
      const clientDataJSON = clientData("webauthn.get", options.challenge, { origin, ...bent });
      const signed = Buffer.concat([authData, sha256(Buffer.from(clientDataJSON, "base64url"))]);
      const userHandle = bent.userHandle === undefined ? one.userHandle : bent.userHandle;
      const response = {
        clientDataJSON,
        authenticatorData: authData.toString("base64url"),
        signature: sign(algorithm === "EdDSA" ? null : "sha256", signed, one.key).toString("base64url"),
        userHandle,
      };
      const id = bent.id ?? one.id;
      return { id, rawId: id, type: "public-key", response };
    },
  };
}

const FLAGS = { userPresent: 0x01, userVerified: 0x04, hasKey: 0x40 };

function authenticatorData(
  { rpId, counter, hasKey }: { readonly rpId: string; readonly counter: number; readonly hasKey: boolean },
  bent: Bent,
): Buffer {
  const { userPresent = true, userVerified = true } = bent;
  const flags = (userPresent ? FLAGS.userPresent : 0) | (userVerified ? FLAGS.userVerified : 0) | (hasKey ? FLAGS.hasKey : 0);
  const rest = Buffer.alloc(5);
  rest.writeUInt8(flags, 0);
  rest.writeUInt32BE(counter, 1);
  return Buffer.concat([sha256(Buffer.from(bent.rpId ?? rpId)), rest]);
}

/** No make (16 zeros), the id, and the key. */
function attestedCredential(id: string, publicKey: KeyObject): Buffer {
  const idBytes = Buffer.from(id, "base64url");
  const length = Buffer.alloc(2);
  length.writeUInt16BE(idBytes.length);
  return Buffer.concat([Buffer.alloc(16), length, idBytes, coseKey(publicKey)]);
}

/** RFC 9053, 7; RFC 8230, 4. */
function coseKey(publicKey: KeyObject): Buffer {
  const jwk = publicKey.export({ format: "jwk" });
  const part = (text: string | undefined): Buffer => bytes(Buffer.from(text ?? "", "base64url"));
  const entries: Record<string, [number, number, [number, Buffer][]]> = {
    EC: [
      2,
      -7,
      [
        [-1, integer(1)],
        [-2, part(jwk.x)],
        [-3, part(jwk.y)],
      ],
    ],
    OKP: [
      1,
      -8,
      [
        [-1, integer(6)],
        [-2, part(jwk.x)],
      ],
    ],
    RSA: [
      3,
      -257,
      [
        [-1, part(jwk.n)],
        [-2, part(jwk.e)],
      ],
    ],
  };
  const [kind, algorithm, parts] = entries[jwk.kty ?? ""] ?? [0, 0, []];
  const labelled = parts.map(([label, value]): [Buffer, Buffer] => [integer(label), value]);
  return map([[integer(1), integer(kind)], [integer(3), integer(algorithm)], ...labelled]);
}

function clientData(type: string, challenge: string, bent: Bent): string {
  const { origin, crossOrigin = false } = bent;
  const said = { type: bent.type ?? type, challenge: bent.challenge ?? challenge, origin, crossOrigin };
  return Buffer.from(JSON.stringify(said)).toString("base64url");
}

const sha256 = (data: Buffer): Buffer => createHash("sha256").update(data).digest();

/** CBOR (RFC 8949), as much of it as is needed: lengths below 65,536. */
function head(major: number, value: number): Buffer {
  if (value < 24) return Buffer.from([(major << 5) | value]);
  return value < 256 ? Buffer.from([(major << 5) | 24, value]) : Buffer.from([(major << 5) | 25, value >> 8, value & 255]);
}

const integer = (value: number): Buffer => (value < 0 ? head(1, -1 - value) : head(0, value));
const bytes = (value: Buffer): Buffer => Buffer.concat([head(2, value.length), value]);
const text = (value: string): Buffer => Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
const map = (entries: readonly (readonly [Buffer, Buffer])[]): Buffer => Buffer.concat([head(5, entries.length), ...entries.flat()]);
