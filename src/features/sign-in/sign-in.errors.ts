/** What registering and signing in are refused with. */

import { problem } from "#src/kernel/problem";

export const credentialsInvalid = problem("credentials.invalid", 401, "The name or password is not right");
export const passwordUnsuitable = problem("password.unsuitable", 400, "The password is too easy to guess");
export const signInThrottled = problem("sign_in.throttled", 429, "Too many attempts; try again later");
export const hashingBusy = problem("sign_in.busy", 503, "Too many people are signing in just now");
