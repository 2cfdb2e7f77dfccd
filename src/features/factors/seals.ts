/** Keeping secrets in the database unreadable: AES-256-GCM for what must be read again, a MAC for what is only compared. */

import { createCipheriv, createDecipheriv, createHmac, type KeyObject } from "node:crypto";
import type { KeyRingSource } from "#src/features/sessions/public";
import { randomBytes } from "#src/kernel/random";

/** What was sealed, and under which key. */
export interface Sealed {
  readonly kid: string;
  readonly sealed: Buffer;
}

export interface Seals {
  /** @param about what it belongs to, e.g. `totp:<user id>`: moved to another row it does not open */
  readonly seal: (secret: Buffer, about: string) => Sealed;
  /** @throws Error when it was changed, moved, or its key is not in the ring */
  readonly open: (sealed: Sealed, about: string) => Buffer;
  /** One for each key of the ring, the newest first: what is stored is the first, what is looked for any of them. */
  readonly macs: (text: string, about: string) => readonly [Buffer, ...Buffer[]];
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Seals with the first sealing key of the ring as it is now, opens with any. */
export function createSeals(keyRing: KeyRingSource): Seals {
  const keys = (): ReturnType<KeyRingSource["current"]>["sealingKeys"] => keyRing.current().sealingKeys;
  return {
    seal: (secret, about) => {
      const [sealer] = keys();
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", sealer.secret, nonce).setAAD(Buffer.from(about));
      return { kid: sealer.kid, sealed: Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]) };
    },
    open: ({ kid, sealed }, about) => {
      const key = keys().find((one) => one.kid === kid);
      if (key === undefined) throw new Error(`the sealing key ${kid} is not in the ring`);
      const nonce = sealed.subarray(0, NONCE_BYTES);
      const decipher = createDecipheriv("aes-256-gcm", key.secret, nonce, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(about));
      decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
      return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
    },
    macs: (text, about) => {
      const [first, ...rest] = keys();
      return [mac(first.secret, text, about), ...rest.map(({ secret }) => mac(secret, text, about))];
    },
  };
}

function mac(secret: KeyObject, text: string, about: string): Buffer {
  return createHmac("sha256", secret).update(`mac:${about}:`).update(text).digest();
}
