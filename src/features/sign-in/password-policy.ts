/** What a password must be (NIST 800-63B-4, 3.1.1): long enough and not easy to guess. No composition rules. */

import { z } from "zod";
import { Problem } from "#src/kernel/problem";
import { isCommonPassword } from "./common-passwords.ts";
import { passwordUnsuitable } from "./sign-in.errors.ts";

/** 8–128 characters, counted as people do. */
export const password = z
  .string()
  .max(512, "at most 128 characters")
  .refine((text) => characters(text) >= 8, "at least 8 characters")
  .refine((text) => characters(text) <= 128, "at most 128 characters");

/** Whose own words a password must not be made of. */
export interface PasswordOwner {
  readonly username: string;
  readonly email: string;
}

/** @param path of the field it came in. @throws Problem `password.unsuitable` when it is common, one character over and over, or made of the account's own name or address */
export function refuseGuessable(candidate: string, account: PasswordOwner, path: string): void {
  const lower = candidate.toLowerCase();
  const own = [account.username, account.email, account.email.split("@")[0] ?? ""]
    .map((part) => part.toLowerCase())
    .filter((part) => part.length >= 4);
  const refuse = (message: string): never => {
    throw new Problem(passwordUnsuitable, { detail: message, errors: [{ path, message }] });
  };
  if (isCommonPassword(candidate)) refuse("this password is among the first that are tried");
  if (new Set(lower).size <= 2) refuse("this password repeats one or two characters");
  if (own.some((part) => lower === part || lower.replace(part, "").length <= 3))
    refuse("this password is made of the user name or e-mail address");
}

/** Code points, as NIST counts them. */
function characters(text: string): number {
  return Array.from(text).length;
}
