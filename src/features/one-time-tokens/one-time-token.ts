/** Links and codes: MACs of a row's id. They are derived, never stored. */

import { createHmac, timingSafeEqual, type KeyObject } from "node:crypto";
import type { KeyRingSource } from "#src/features/sessions/public";

/** What stands for a row, without being in it. */
export interface OneTimeTokens {
  /** The text in a link: 54 characters of base64url, id and MAC. */
  readonly linkText: (id: string) => string;
  /** Six digits. */
  readonly code: (id: string) => string;
  /** The id that a link's text is of; undefined when we did not make it. */
  readonly idOf: (text: string) => string | undefined;
  /** Whether these are the digits of that id. */
  readonly isCode: (id: string, digits: string) => boolean;
}

const ID_BYTES = 16;
const MAC_BYTES = 24;
const TEXT_LENGTH = Math.ceil(((ID_BYTES + MAC_BYTES) * 4) / 3);

/** Makes with the refresh key that signs now, accepts what every key of the ring made that has not ended. */
export function createOneTimeTokens(keyRing: KeyRingSource): OneTimeTokens {
  const signer = (): KeyObject => keyRing.current().refreshSigner.secret;
  const secrets = (): readonly KeyObject[] => [...keyRing.current().refreshKeys.values()];
  return {
    linkText: (id) => Buffer.concat([bytesOf(id), linkMac(signer(), bytesOf(id))]).toString("base64url"),
    code: (id) => codeOf(signer(), id),
    idOf: (text) => {
      const bytes = Buffer.from(text.length === TEXT_LENGTH ? text : "", "base64url");
      if (bytes.length !== ID_BYTES + MAC_BYTES || bytes.toString("base64url") !== text) return undefined;
      const [id, mac] = [bytes.subarray(0, ID_BYTES), bytes.subarray(ID_BYTES)];
      // Every key is tried, whichever fits.
      const fits = secrets().map((secret) => timingSafeEqual(mac, linkMac(secret, id)));
      return fits.includes(true) ? uuidOf(id) : undefined;
    },
    isCode: (id, digits) => {
      const given = Buffer.from(digits.padEnd(6).slice(0, 6));
      if (given.length !== 6 || digits.length !== 6) return false;
      const fits = secrets().map((secret) => timingSafeEqual(given, Buffer.from(codeOf(secret, id))));
      return fits.includes(true);
    },
  };
}

function linkMac(secret: KeyObject, id: Buffer): Buffer {
  return createHmac("sha256", secret).update("one-time link:").update(id).digest().subarray(0, MAC_BYTES);
}

function codeOf(secret: KeyObject, id: string): string {
  const mac = createHmac("sha256", secret).update("one-time code:").update(bytesOf(id)).digest();
  // Of 2^48 values every one of a million comes up as often, to 1 in 10^8.
  return String(mac.readUIntBE(0, 6) % 1_000_000).padStart(6, "0");
}

function bytesOf(id: string): Buffer {
  return Buffer.from(id.replaceAll("-", ""), "hex");
}

function uuidOf(bytes: Buffer): string {
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
