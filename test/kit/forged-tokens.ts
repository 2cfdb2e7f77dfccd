/** Access tokens as ours with something changed: really signed by our key unless told otherwise. */

import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import jwt from "jsonwebtoken";

interface Changes {
  readonly header?: Readonly<Record<string, unknown>>;
  /** Undefined takes a claim away. */
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly key?: KeyObject;
}

export interface TokenForge {
  readonly kid: string;
  readonly publicKey: KeyObject;
  readonly token: (owner: { readonly id: string; readonly sessionId: string }, changes?: Changes) => string;
}

/** @param ring of the service; @param issuer its PUBLIC_URL */
export function createTokenForge(ring: string, issuer: string): TokenForge {
  const stored = (JSON.parse(ring) as { accessKeys: { kid: string; pkcs8: string }[] }).accessKeys[0];
  const kid = stored?.kid ?? "";
  const privateKey = createPrivateKey({ key: Buffer.from(stored?.pkcs8 ?? "", "base64"), format: "der", type: "pkcs8" });
  return {
    kid,
    publicKey: createPublicKey(privateKey),
    token: ({ id, sessionId }, { header = {}, claims = {}, key = privateKey } = {}) => {
      const seconds = Math.floor(Date.now() / 1000);
      const whole = { sub: id, sid: sessionId, iss: issuer, aud: ["user-service"], iat: seconds, exp: seconds + 600, ...claims };
      const given = Object.fromEntries(Object.entries(whole).filter(([, value]) => value !== undefined));
      const heading = Object.entries({ alg: "ES256", typ: "at+jwt", kid, ...header }).filter(([, value]) => value !== undefined);
      return jwt.sign(given, key, {
        algorithm: "ES256",
        noTimestamp: true,
        header: Object.fromEntries(heading) as unknown as jwt.JwtHeader,
      });
    },
  };
}

/** One part of a token, unsigned. */
export const tokenPart = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
