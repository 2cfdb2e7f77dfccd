/**
 * Device tokens: what a device that has signed in to an account shows at its next sign-in, so that others who use up the account's
 * tries do not keep its owner out. It opens nothing: the password is asked for all the same.
 */

import { createHmac, timingSafeEqual, type KeyObject } from "node:crypto";
import type { KeyRingSource } from "#src/features/sessions/public";
import { randomBytes } from "#src/kernel/random";

/** A device that has signed in to that account before. */
export interface KnownDevice {
  readonly userId: string;
  /** Random; names the device and nothing else. */
  readonly deviceId: string;
}

export interface DeviceTokens {
  /** A token of a device that was not known yet: `<kid>.<account and 128 random bits>.<MAC>`. */
  readonly make: (userId: string) => string;
  /** Whose it is; undefined when we did not make it, or its key has ended. */
  readonly read: (text: string) => KnownDevice | undefined;
}

const ID_BYTES = 16;
const DEVICE_BYTES = 16;
const MAC_BYTES = 32;

/** Makes with the refresh key that signs now, accepts all that are accepted. */
export function createDeviceTokens(keyRing: KeyRingSource): DeviceTokens {
  return {
    make: (userId) => {
      const { kid, secret } = keyRing.current().refreshSigner;
      const body = Buffer.concat([Buffer.from(userId.replaceAll("-", ""), "hex"), randomBytes(DEVICE_BYTES)]);
      return `${kid}.${body.toString("base64url")}.${mac(secret, body).toString("base64url")}`;
    },
    read: (text) => {
      const [kid = "", bodyText = "", macText = "", ...rest] = text.split(".");
      const secret = keyRing.current().refreshKeys.get(kid);
      const body = Buffer.from(bodyText, "base64url");
      const given = Buffer.from(macText, "base64url");
      // As of every token, one spelling is right.
      const isSpelledSo = body.toString("base64url") === bodyText && given.toString("base64url") === macText;
      if (rest.length > 0 || !isSpelledSo || secret === undefined || body.length !== ID_BYTES + DEVICE_BYTES || given.length !== MAC_BYTES)
        return undefined;
      if (!timingSafeEqual(given, mac(secret, body))) return undefined;
      const userId = body.toString("hex", 0, ID_BYTES).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
      return { userId, deviceId: body.toString("base64url", ID_BYTES) };
    },
  };
}

function mac(secret: KeyObject, body: Buffer): Buffer {
  return createHmac("sha256", secret).update("known device:").update(body).digest();
}
