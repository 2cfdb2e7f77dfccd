/** What the accounts feature refuses with. */

import { problem } from "#src/kernel/problem";

export const usernameTaken = problem("username.taken", 409, "That username is taken");
export const usernameChangedOften = problem("username.changed_often", 429, "You have changed your username often enough for now");
export const emailTaken = problem("email.taken", 409, "That e-mail address has an account already");
export const userNotFound = problem("user.not_found", 404, "There is no such user");
