/** Registering: an account, its credentials, its first session and the event, in one transaction. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { userRegistered } from "#src/contract/event-types";
import { appendEvent } from "#src/events/append";
import { accountView, emailTaken, insertUser, type AccountView } from "#src/features/accounts/public";
import { newestUsable, requestLink } from "#src/features/one-time-tokens/public";
import {
  beginSession,
  type AccessTokens,
  type PlaceOf,
  type RefreshTokens,
  type SessionLimits,
  type SessionTokens,
} from "#src/features/sessions/public";
import type { Client } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import type { BreachedPasswords } from "./breached-passwords.ts";
import { checkNewPassword } from "./check-new-password.ts";
import type { DeviceTokens } from "./device-token.ts";
import type { PasswordHasher } from "./password-hash.ts";
import { signInMailJob } from "./registration.ts";
import { insertCredentials } from "./sign-in.sql.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
  readonly hasher: PasswordHasher;
  readonly breachedPasswords: BreachedPasswords;
  readonly accessTokens: AccessTokens;
  readonly refreshTokens: RefreshTokens;
  readonly deviceTokens: DeviceTokens;
  readonly sessionLimits: SessionLimits;
  readonly placeOf?: PlaceOf;
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

/** The account and its first session. */
export interface Registered extends SessionTokens {
  readonly user: AccountView;
  /** For the next sign-in of this device. */
  readonly deviceToken: string;
}

/** @throws Problem `username.taken`, `email.taken`, `password.unsuitable`, `sign_in.busy` */
export async function register(deps: Needs, registration: Registration): Promise<Registered> {
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

async function makeAccount(deps: Needs, registration: Registration): Promise<Registered> {
  await checkNewPassword(deps, { password: registration.password, owner: registration, path: "body.password" });
  const passwordHash = await deps.hasher.hash(registration.password);
  const { email, username, client } = registration;
  return await inTx(deps.db, async (tx) => {
    // An address that an account was moved away from: who was moved may take it back, and nobody here has proved it to be theirs.
    if ((await newestUsable(tx, email, "address_undo")) !== undefined) throw new Problem(emailTaken);
    const user = await insertUser(tx, {
      id: newUuid(deps.clock),
      username,
      email,
      displayName: username,
      roles: ["user"],
      locale: client.locale,
      emailVerified: false,
    });
    await insertCredentials(tx, { userId: user.id, passwordHash });
    await appendEvent(tx, userRegistered, {
      subject: user.id,
      data: { userId: user.id, username, displayName: user.display_name, avatarUrl: null, createdAt: user.created_at.toISOString() },
    });
    const link = { id: newUuid(deps.clock), purpose: "address", email, userId: user.id, locale: client.locale } as const;
    await requestLink(tx, signInMailJob, link);
    const tokens = await beginSession(deps, tx, { userId: user.id, roles: ["user"], client, restricted: false });
    return { user: accountView(user, "active"), ...tokens, deviceToken: deps.deviceTokens.make(user.id) };
  });
}
