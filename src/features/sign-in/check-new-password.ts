/** Whether a password may be somebody's new one. Every door that sets one asks here, and before its transaction: a network is asked too. */

import { Problem } from "#src/kernel/problem";
import type { BreachedPasswords } from "./breached-passwords.ts";
import { refuseGuessable, type PasswordOwner } from "./password-policy.ts";
import { passwordUnsuitable } from "./sign-in.errors.ts";

interface Needs {
  readonly breachedPasswords: BreachedPasswords;
}

/** A password that somebody would like to have. */
export interface NewPassword {
  readonly password: string;
  readonly owner: PasswordOwner;
  /** Of the field it came in, e.g. `body.password`. */
  readonly path: string;
}

/** @throws Problem `password.unsuitable` for one that is easy to guess or is known from a breach elsewhere */
export async function checkNewPassword(deps: Needs, { password, owner, path }: NewPassword): Promise<void> {
  refuseGuessable(password, owner, path);
  if (!(await deps.breachedPasswords.has(password))) return;
  const message = "this password is known from a data breach of another site; choose one that is used nowhere else";
  throw new Problem(passwordUnsuitable, { detail: message, errors: [{ path, message }] });
}
