/** What the doors of this feature take and give. */

import { z } from "zod";
import { accountSchema, emailAddress, username } from "#src/features/accounts/public";
import { noticeSchema, sessionSchema, tokensSchema } from "#src/features/sessions/public";
import { password } from "./password-policy.ts";

export const registerBody = z.strictObject({ email: emailAddress, username, password });

/** Anything may be typed here; what cannot be a name or password is simply not right. */
export const loginBody = z.strictObject({ emailOrUsername: z.string().min(1).max(254), password: z.string().min(1).max(512) });

export const signedInSchema = tokensSchema.extend({ user: accountSchema, session: sessionSchema });

export const loginAnswerSchema = signedInSchema.extend({
  restriction: noticeSchema
    .optional()
    .describe("Only for a suspended or banned account, whose session may do little and has no refresh token"),
});
