/** What the doors of second factors take and give. */

import { z } from "zod";

/** Six digits of the app, or a recovery code. */
export const factorCode = z.string().min(6).max(20);

export const codeBody = z.strictObject({ code: factorCode });

export const factorsSchema = z.object({
  totp: z.object({ confirmedAt: z.iso.datetime() }).nullable(),
  passkeys: z.number().int().describe("How many there are"),
  recoveryCodesLeft: z.number().int(),
});

export const totpOfferSchema = z.object({
  secret: z.string().describe("Base32, for typing into the app; told once"),
  uri: z.string().describe("otpauth://totp/…, for a QR code"),
});

export const recoveryCodesSchema = z.object({ recoveryCodes: z.array(z.string()).describe("Told once; each is good for one use") });
