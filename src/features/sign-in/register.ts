/** Registering: an account, its credentials, its first session and the event, in one transaction. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { userRegistered } from "#src/contract/event-types";
import { appendEvent } from "#src/events/append";
import { accountView, insertUser, type AccountView } from "#src/features/accounts/public";
import { beginSession, type AccessTokens, type RefreshTokens, type SessionTokens } from "#src/features/sessions/public";
import type { Client } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import type { PasswordHasher } from "./password-hash.ts";
import { refuseGuessable } from "./password-policy.ts";
import { insertCredentials } from "./sign-in.sql.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
  readonly hasher: PasswordHasher;
  readonly accessTokens: AccessTokens;
  readonly refreshTokens: RefreshTokens;
  /** Counts registrations by outcome: `accepted`, or the code of the refusal. */
  readonly onRegistration: (outcome: string) => void;
}

/** Already checked for form. */
export interface Registration {
  readonly email: string;
  readonly username: string;
  readonly password: string;
  readonly client: Client;
}

/** @throws Problem `username.taken`, `email.taken`, `password.unsuitable`, `sign_in.busy` */
export async function register(deps: Needs, registration: Registration): Promise<SessionTokens & { readonly user: AccountView }> {
  try {
    const made = await makeAccount(deps, registration);
    deps.onRegistration("accepted");
    securityEvent(deps.log, { kind: "registration.succeeded", userId: made.user.id, address: registration.client.address });
    return made;
  } catch (error) {
    deps.onRegistration(error instanceof Problem ? error.code : "failed");
    throw error;
  }
}

async function makeAccount(deps: Needs, registration: Registration): Promise<SessionTokens & { readonly user: AccountView }> {
  refuseGuessable(registration.password, registration);
  const passwordHash = await deps.hasher.hash(registration.password);
  const { email, username, client } = registration;
  return await inTx(deps.db, async (tx) => {
    const user = await insertUser(tx, { id: newUuid(deps.clock), username, email, displayName: username, roles: ["user"] });
    await insertCredentials(tx, { userId: user.id, passwordHash });
    await appendEvent(tx, userRegistered, {
      subject: user.id,
      data: { userId: user.id, username, displayName: user.display_name, avatarUrl: null, createdAt: user.created_at.toISOString() },
    });
    const tokens = await beginSession(deps, tx, { userId: user.id, roles: ["user"], client, restricted: false });
    return { user: accountView(user, "active"), ...tokens };
  });
}
