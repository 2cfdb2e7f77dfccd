/** The door of sign-in, for the processes that begin with it. */

export { ensureFirstAdmin } from "./first-admin.ts";
export { createPasswordHasher, type PasswordHasher } from "./password-hash.ts";
export { signInThrottled } from "./sign-in.errors.ts";
