/** Recovery codes: ten letters and digits that cannot be mistaken for each other, shown in two groups. */

import { randomBytes } from "#src/kernel/random";

/** Crockford's alphabet: no I, L, O and U. */
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH = 10;
const SHAPE = /^[0-9A-HJKMNP-TV-Z]{10}$/;

/** How many an account gets. */
export const RECOVERY_CODES = 10;

/** New codes of 50 random bits each, like `4KX0P-9M2TQ`. */
export function newRecoveryCodes(): string[] {
  return Array.from({ length: RECOVERY_CODES }, () => {
    const letters = Array.from(randomBytes(LENGTH), (byte) => ALPHABET[byte & 31]).join("");
    return `${letters.slice(0, 5)}-${letters.slice(5)}`;
  });
}

/** What somebody typed, as it is compared: without case, spaces and hyphens, with look-alikes read as what they stand for. */
export function normalRecoveryCode(typed: string): string | undefined {
  const text = typed.toUpperCase().replaceAll(/[\s-]/g, "").replaceAll("O", "0").replaceAll(/[IL]/g, "1");
  return SHAPE.test(text) ? text : undefined;
}
