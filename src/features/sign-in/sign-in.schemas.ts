/** What the doors of this feature take and give. */

import { z } from "zod";
import { accountSchema, emailAddress, username } from "#src/features/accounts/public";
import { authenticationResponse, factorCode, recoveryCodesSchema } from "#src/features/factors/public";
import { noticeSchema, sessionSchema, tokensSchema } from "#src/features/sessions/public";
import { password } from "./password-policy.ts";

export const registerBody = z.strictObject({ email: emailAddress, username, password });

/** Anything may be typed here; what cannot be a name or password is simply not right. */
export const loginBody = z.strictObject({
  emailOrUsername: z.string().min(1).max(254),
  password: z.string().min(1).max(512),
  deviceToken: z
    .string()
    .max(200)
    .optional()
    .describe("What this device got at an earlier sign-in; without it others may use up its tries"),
});

export const signedInSchema = tokensSchema.extend({
  user: accountSchema,
  session: sessionSchema,
  deviceToken: z.string().describe("Keep it beyond the session and send it at the next login of this device"),
});

export const loginAnswerSchema = signedInSchema.extend({
  deviceToken: signedInSchema.shape.deviceToken
    .optional()
    .describe(
      "Keep it beyond the session and send it at the next login of this device. In cookie mode a trusted device has it as a cookie",
    ),
  trustedUntil: z.iso.datetime().optional().describe("On a trusted device: till then the password is enough; keep `deviceToken` secret"),
  restriction: noticeSchema
    .optional()
    .describe("Only for a suspended or banned account, whose session may do little and has no refresh token"),
});

export const forgotBody = z.strictObject({ email: emailAddress });

export const resetBody = z.strictObject({
  token: z.string().min(1).max(100),
  password,
  keepSessions: z.boolean().default(false),
});

export const changePasswordBody = z.strictObject({ currentPassword: z.string().min(1).max(512), newPassword: password });

export const revokedSchema = z.object({ sessionsRevoked: z.number().int() });

const challenge = z.string().min(1).max(100).describe("`mfa.challenge` of the refusal of login");

export const challengeBody = z.strictObject({ challenge });
const trustDevice = z
  .boolean()
  .default(false)
  .describe("Whether this device signs in by the password alone for TRUSTED_DEVICE_DAYS; the answer's `trustedUntil` says whether it does");
export const answerBody = z.strictObject({ challenge, code: factorCode, trustDevice });

export const answeredSchema = loginAnswerSchema.extend({
  recoveryCodes: recoveryCodesSchema.shape.recoveryCodes.optional().describe("When this sign-in has added the factor; told once"),
});

export const passkeyLoginBody = z.strictObject({ response: authenticationResponse });
export const passkeyAnswerBody = z.strictObject({ challenge, response: authenticationResponse, trustDevice });

export const stepUpBody = z.strictObject({ password: z.string().min(1).max(512), code: factorCode.optional() });

const deviceToken = loginBody.shape.deviceToken;

export const emailProofBody = z.union([
  z.strictObject({ token: z.string().min(1).max(100), deviceToken }),
  z.strictObject({ email: emailAddress, code: z.string().regex(/^\d{6}$/, "six digits"), deviceToken }),
]);
