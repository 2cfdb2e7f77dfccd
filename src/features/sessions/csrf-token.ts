/** What a page of ours sends along with the cookie: a MAC of the session's id. Derived, never stored; worth nothing without the cookie. */

import { createHmac, timingSafeEqual, type KeyObject } from "node:crypto";
import type { KeyRingSource } from "./key-ring-source.ts";

export interface CsrfTokens {
  /** 43 characters of base64url, the same for all of a session's life while no key is replaced. */
  readonly of: (sessionId: string) => string;
  /** Whether the text is that of this session. Takes the same time whatever the text, if it is of the right length. */
  readonly fits: (sessionId: string, text: string) => boolean;
}

/** Makes with the refresh key that signs now, accepts what every key of the ring made that has not ended. */
export function createCsrfTokens(keyRing: KeyRingSource): CsrfTokens {
  return {
    of: (sessionId) => mac(keyRing.current().refreshSigner.secret, sessionId).toString("base64url"),
    fits: (sessionId, text) => {
      const given = Buffer.from(text, "base64url");
      if (given.length !== 32 || given.toString("base64url") !== text) return false;
      // Every key is tried, whichever fits.
      const fits = [...keyRing.current().refreshKeys.values()].map((secret) => timingSafeEqual(given, mac(secret, sessionId)));
      return fits.includes(true);
    },
  };
}

function mac(secret: KeyObject, sessionId: string): Buffer {
  return createHmac("sha256", secret).update("csrf:").update(sessionId).digest();
}
