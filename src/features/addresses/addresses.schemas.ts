/** What the doors of this feature take and give. */

import { z } from "zod";
import { emailAddress, username } from "#src/features/accounts/public";

const token = z.string().min(1).max(100);
const code = z.string().regex(/^\d{6}$/, "six digits");

export const verifyBody = z.union([
  z.strictObject({ token, username: username.optional() }),
  z.strictObject({ email: emailAddress, code, username: username.optional() }),
]);

export const resendBody = z.strictObject({ email: emailAddress });
export const changeBody = z.strictObject({ email: emailAddress, currentPassword: z.string().min(1).max(512) });

export const verifiedSchema = z.object({
  what: z.enum(["registration", "address", "address_change", "address_undo"]).describe("What the mail was for"),
  email: z.string(),
});

export const askedSchema = z.object({ status: z.literal("mail_sent").describe("If there is a reason to write to that address") });
