/** Signing in with a password. Says the same, after the same work, whether the account is there or not. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { accountView, lockAccount, type AccountView } from "#src/features/accounts/public";
import {
  beginSession,
  standingNotice,
  type AccessTokens,
  type RefreshTokens,
  type RestrictionNotice,
  type SessionTokens,
} from "#src/features/sessions/public";
import type { Attempts, Client, Role } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import type { PasswordHasher } from "./password-hash.ts";
import { loginAccountBudget, loginAddressBudget } from "./sign-in.actions.ts";
import { credentialsInvalid, signInThrottled } from "./sign-in.errors.ts";
import { selectCredentials } from "./sign-in.sql.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
  readonly hasher: PasswordHasher;
  readonly accessTokens: AccessTokens;
  readonly refreshTokens: RefreshTokens;
  readonly attempts: Attempts;
  /** Counts logins by outcome: `accepted`, `restricted`, or the code of the refusal. */
  readonly onLogin: (outcome: string) => void;
}

export interface Login {
  readonly emailOrUsername: string;
  readonly password: string;
  readonly client: Client;
}

/** What a login answers; `restriction` only for the short session of a suspended or banned account. */
export interface LoggedIn extends SessionTokens {
  readonly user: AccountView;
  readonly restriction?: RestrictionNotice;
}

/** @throws Problem `credentials.invalid`, `sign_in.throttled`, `sign_in.busy` */
export async function login(deps: Needs, attempt: Login): Promise<LoggedIn> {
  try {
    const loggedIn = await tryLogin(deps, attempt);
    deps.onLogin(loggedIn.restriction === undefined ? "accepted" : "restricted");
    securityEvent(deps.log, {
      kind: "login.succeeded",
      userId: loggedIn.user.id,
      sessionId: loggedIn.session.id,
      address: attempt.client.address,
    });
    return loggedIn;
  } catch (error) {
    const code = error instanceof Problem ? error.code : "failed";
    deps.onLogin(code);
    const kind = code === signInThrottled.code ? "login.throttled" : "login.failed";
    securityEvent(deps.log, { kind, address: attempt.client.address, reason: code });
    throw error;
  }
}

async function tryLogin(deps: Needs, attempt: Login): Promise<LoggedIn> {
  const userId = await checkPassword(deps, attempt);
  return await begin(deps, userId, attempt.client);
}

async function checkPassword(deps: Needs, attempt: Login): Promise<string> {
  // Being busy must cost no try. The place is held from before the account's budget is asked, so that a burst cannot come
  // between; what an address has no budget for holds none.
  deps.hasher.refuseWhenFull();
  await deps.attempts.take(loginAddressBudget, attempt.client.addressKey);
  using place = deps.hasher.reserve();
  const name = attempt.emailOrUsername.toLowerCase();
  await deps.attempts.take(loginAccountBudget, name);
  const found = await selectCredentials(deps.db, attempt.emailOrUsername);
  const matches = await place.verify(attempt.password, found?.passwordHash);
  if (found === undefined || !matches) throw new Problem(credentialsInvalid);
  await deps.attempts.forgive(loginAccountBudget, name);
  return found.userId;
}

/** The account is locked first, so that the session either sees a restriction or is seen by it. */
async function begin(deps: Needs, userId: string, client: Client): Promise<LoggedIn> {
  return await inTx(deps.db, async (tx) => {
    const account = await lockAccount(tx, userId);
    if (account === undefined || account.status === "erased" || account.status === "deactivated") throw new Problem(credentialsInvalid);
    const restricted = account.status !== "active";
    const tokens = await beginSession(deps, tx, { userId, roles: account.user.roles as Role[], client, restricted });
    const user = accountView(account.user, account.status);
    if (!restricted) return { user, ...tokens };
    const restriction = await standingNotice(tx, userId);
    return restriction === undefined ? { user, ...tokens } : { user, ...tokens, restriction };
  });
}
