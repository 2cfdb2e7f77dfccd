/** Time-based codes (RFC 6238): SHA-1, six digits, 30 s, as every authenticator app speaks them. */

import { generateSecret, generateURI, verifySync } from "otplib";

/** A step before and one after are taken: clocks of telephones are off by less (RFC 6238, 5.2). */
const TOLERANCE_SECONDS = 30;

/** A new secret: 160 random bits in base32. */
export function newTotpSecret(): string {
  return generateSecret();
}

/** What an app reads from a QR code. @param issuer whose name it shows beside the account's */
export function totpUri(secret: string, account: { readonly issuer: string; readonly label: string }): string {
  return generateURI({ secret, issuer: account.issuer, label: account.label });
}

/**
 * The time step that a code is of, when it is right and later than the last one that was taken.
 * @param now by the service's clock
 */
export function totpStep(
  secret: string,
  code: string,
  { now, lastStep }: { readonly now: Date; readonly lastStep: number },
): number | undefined {
  if (!/^\d{6}$/.test(code)) return undefined;
  const result = verifySync({ secret, token: code, epoch: Math.floor(now.getTime() / 1000), epochTolerance: TOLERANCE_SECONDS });
  return result.valid && "timeStep" in result && result.timeStep > lastStep ? result.timeStep : undefined;
}
