/** Public keys as authenticators give them (COSE_Key, RFC 9053). The library takes any bytes for one until a signature is checked with it. */

import { createPublicKey, type JsonWebKey } from "node:crypto";

const LEAST_RSA_BITS = 2048;

/** Kinds (label 1) and labels of their parts. */
const OKP = 1;
const EC2 = 2;
const RSA = 3;

/**
 * Refuses what no signature could ever be checked with: a passkey that was kept with it would lock its owner out.
 * @param key decoded; Ed25519, P-256 or RSA
 * @throws Error for any other key, one that is not whole, and a point that is not on its curve
 */
export function assertUsableKey(key: ReadonlyMap<number, unknown>): void {
  const { asymmetricKeyDetails } = createPublicKey({ format: "jwk", key: asJwk(key) });
  const bits = asymmetricKeyDetails?.modulusLength ?? LEAST_RSA_BITS;
  if (bits < LEAST_RSA_BITS) throw new Error(`an RSA key of ${bits} bits`);
}

function asJwk(key: ReadonlyMap<number, unknown>): JsonWebKey {
  const part = (label: number): string => {
    const value = key.get(label);
    if (!(value instanceof Uint8Array)) throw new Error(`the key has no part ${label}`);
    return Buffer.from(value).toString("base64url");
  };
  switch (key.get(1)) {
    case OKP:
      return { kty: "OKP", crv: "Ed25519", x: part(-2) };
    case EC2:
      return { kty: "EC", crv: "P-256", x: part(-2), y: part(-3) };
    case RSA:
      return { kty: "RSA", n: part(-1), e: part(-2) };
    default:
      throw new Error(`a key of kind ${String(key.get(1))}`);
  }
}
