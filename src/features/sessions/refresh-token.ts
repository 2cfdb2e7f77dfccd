/**
 * Refresh tokens: `<kid>.<session id, generation, 256 random bits>.<MAC>`, each part base64url. Stored hashed; a successor
 * is stored sealed under a key that only the bearer of its parent can derive, so a copy of the database gives no token.
 */

import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hash,
  hkdfSync,
  timingSafeEqual,
  type KeyObject,
} from "node:crypto";
import { randomBytes } from "#src/kernel/random";
import type { KeyRingSource } from "./key-ring-source.ts";

/** A token whose MAC was right: we made it, whatever became of its session. */
export interface RefreshToken {
  readonly text: string;
  readonly sessionId: string;
  readonly generation: number;
  /** SHA-256 of the text, as stored. */
  readonly hash: Buffer;
}

export interface RefreshTokens {
  /** A new random token of this session. */
  readonly make: (sessionId: string, generation: number) => RefreshToken;
  /** The token, `forged` when it has our form but not our MAC, `malformed` for anything else. */
  readonly parse: (text: string) => RefreshToken | "forged" | "malformed";
}

const PAYLOAD_BYTES = 16 + 4 + 32;
const MAC_BYTES = 32;

/** Makes with the refresh key that signs now, accepts what every key of the ring made that has not ended. */
export function createRefreshTokens(keyRing: KeyRingSource): RefreshTokens {
  return {
    make: (sessionId, generation) => {
      const { refreshSigner: signer } = keyRing.current();
      const payload = Buffer.alloc(PAYLOAD_BYTES);
      Buffer.from(sessionId.replaceAll("-", ""), "hex").copy(payload, 0);
      payload.writeUInt32BE(generation, 16);
      randomBytes(32).copy(payload, 20);
      const text = `${signer.kid}.${payload.toString("base64url")}.${mac(signer.secret, signer.kid, payload).toString("base64url")}`;
      return { text, sessionId, generation, hash: hashOf(text) };
    },
    parse: (text) => {
      const [kid, body, tag, ...rest] = text.split(".");
      if (kid === undefined || body === undefined || tag === undefined || rest.length > 0) return "malformed";
      const payload = exactBytes(body, PAYLOAD_BYTES);
      const given = exactBytes(tag, MAC_BYTES);
      if (payload === undefined || given === undefined) return "malformed";
      const secret = keyRing.current().refreshKeys.get(kid);
      if (secret === undefined || !timingSafeEqual(given, mac(secret, kid, payload))) return "forged";
      return { text, sessionId: uuidOf(payload), generation: payload.readUInt32BE(16), hash: hashOf(text) };
    },
  };
}

function mac(secret: KeyObject, kid: string, payload: Buffer): Buffer {
  return createHmac("sha256", secret).update(`refresh:${kid}:`).update(payload).digest();
}

/** Decodes strictly: a cut, padded or differently spelled text of the same bytes is not the token. */
function exactBytes(text: string, length: number): Buffer | undefined {
  if (text.length !== Math.ceil((length * 4) / 3)) return undefined;
  const bytes = Buffer.from(text, "base64url");
  return bytes.length === length && bytes.toString("base64url") === text ? bytes : undefined;
}

function uuidOf(payload: Buffer): string {
  const hex = payload.toString("hex", 0, 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function hashOf(text: string): Buffer {
  return hash("sha256", text, "buffer");
}

/** As a key object, here and above: handed a buffer, Node first finds out at length that it is none. */
function sealingKey(parent: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync("sha256", parent, "", "user-service refresh successor", 32)));
}

/** Seals a successor for the bearer of `parent`: AES-256-GCM, nonce first, tag last. */
export function sealSuccessor(parent: RefreshToken, successor: RefreshToken): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", sealingKey(parent.text), nonce);
  return Buffer.concat([nonce, cipher.update(successor.text, "utf8"), cipher.final(), cipher.getAuthTag()]);
}

/** Opens what `sealSuccessor` sealed. @throws Error when it was sealed for another parent or was changed */
export function openSuccessor(parent: RefreshToken, sealed: Buffer): string {
  const decipher = createDecipheriv("aes-256-gcm", sealingKey(parent.text), sealed.subarray(0, 12), { authTagLength: 16 });
  decipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]).toString("utf8");
}
