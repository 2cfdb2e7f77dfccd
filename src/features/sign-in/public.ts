/** The door of sign-in, for the processes that begin with it. */

export { createBreachedPasswords, noBreachedPasswords, type BreachedPasswords } from "./breached-passwords.ts";
export { createDeviceTokens, type DeviceTokens } from "./device-token.ts";
export { ensureFirstAdmin, FirstAdminRefused } from "./first-admin.ts";
export { importUsers, type ImportSummary } from "./import-users.ts";
export type { Refusal } from "./imported-user.ts";
export { createPasswordHasher, type PasswordHasher } from "./password-hash.ts";
export { proofsOf, type LinkMailNeeds } from "./link-mail.ts";
export { linkMailPayload, signInMailJob } from "./registration.ts";
export { completeRegistration } from "./request-registration.ts";
export { confirmPassword, requirePassword } from "./set-password.ts";
export { mailReset } from "./forgot-password.ts";
export { loginAccountBudget, mailAddressBudget, mailSubject, passwordBudget } from "./sign-in.actions.ts";
export { dropPassword } from "./end-password.ts";
export { hashingBusy, passwordWrong } from "./sign-in.errors.ts";
