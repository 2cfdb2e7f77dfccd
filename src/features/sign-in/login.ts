/** Signing in with a password. Says the same, after the same work, whether the account is there or not. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { lockSubject } from "#src/events/append";
import type { OneTimeTokens } from "#src/features/one-time-tokens/public";
import { isNewDevice, type AccessTokens, type PlaceOf, type RefreshTokens, type SessionLimits } from "#src/features/sessions/public";
import type { Attempts, Client, Role } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { signInThrottled } from "#src/features/factors/public";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { beginOrAsk, mfaProblem, type LoggedIn } from "./begin-or-ask.ts";
import type { DeviceTokens, KnownDevice } from "./device-token.ts";
import type { PasswordHasher } from "./password-hash.ts";
import { loginAccountBudget, loginAddressBudget, loginDeviceBudget } from "./sign-in.actions.ts";
import { credentialsInvalid, mfaEnrolmentRequired, mfaRequired, passwordMustChange } from "./sign-in.errors.ts";
import { askForNewPassword } from "./must-change.ts";
import { rehash, selectCredentials, type Credentials } from "./sign-in.sql.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
  readonly hasher: PasswordHasher;
  readonly accessTokens: AccessTokens;
  readonly refreshTokens: RefreshTokens;
  readonly sessionLimits: SessionLimits;
  readonly placeOf?: PlaceOf;
  readonly attempts: Attempts;
  readonly oneTimeTokens: OneTimeTokens;
  readonly deviceTokens: DeviceTokens;
  /** Roles that must have a second factor. */
  readonly config: { readonly mfaRequiredRoles: readonly Role[]; readonly trustedDeviceDays: number };
  /** Counts logins by outcome: `accepted`, `restricted`, or the code of the refusal. */
  readonly onLogin: (outcome: string) => void;
}

export interface Login {
  readonly emailOrUsername: string;
  readonly password: string;
  /** What this device got at an earlier sign-in. */
  readonly deviceToken?: string | undefined;
  /** The same, kept by the browser: of a device that is trusted. */
  readonly deviceCookie?: string | undefined;
  readonly client: Client;
}

/** @throws Problem `credentials.invalid`, `password.must_change`, `mfa.required`, `mfa.enrolment_required`, `sign_in.throttled`, `sign_in.busy` */
export async function login(deps: Needs, attempt: Login): Promise<LoggedIn> {
  try {
    const loggedIn = await tryLogin(deps, attempt);
    deps.onLogin(loggedIn.restriction === undefined ? "accepted" : "restricted");
    securityEvent(deps.log, {
      kind: "login.succeeded",
      userId: loggedIn.user.id,
      sessionId: loggedIn.session.id,
      address: attempt.client.address,
      ...(loggedIn.trustedUntil === undefined ? {} : { reason: "trusted_device" }),
    });
    return loggedIn;
  } catch (error) {
    const code = error instanceof Problem ? error.code : "failed";
    deps.onLogin(code);
    const kind = KINDS[code] ?? "login.failed";
    securityEvent(deps.log, { kind, address: attempt.client.address, reason: code });
    throw error;
  }
}

const KINDS: Readonly<Record<string, "login.throttled" | "login.challenged">> = {
  [signInThrottled.code]: "login.throttled",
  [passwordMustChange.code]: "login.challenged",
  [mfaRequired.code]: "login.challenged",
  [mfaEnrolmentRequired.code]: "login.challenged",
};

async function tryLogin(deps: Needs, attempt: Login): Promise<LoggedIn> {
  const { proved, deviceToken } = await checkPassword(deps, attempt);
  return await begin(deps, proved, { client: attempt.client, deviceToken });
}

type Checked = { readonly proved: Credentials; readonly deviceToken: string | undefined };

async function checkPassword(deps: Needs, attempt: Login): Promise<Checked> {
  // Being busy must cost no try. The place is held from before the account's budget is asked, so that a burst cannot come
  // between; what an address has no budget for holds none.
  deps.hasher.refuseWhenFull();
  await deps.attempts.take(loginAddressBudget, attempt.client.addressKey);
  using place = deps.hasher.reserve();
  const device = await knownDevice(deps, attempt);
  const [budget, key] =
    device === undefined ? [loginAccountBudget, attempt.emailOrUsername.toLowerCase()] : [loginDeviceBudget, device.deviceId];
  await deps.attempts.take(budget, key);
  const found = await selectCredentials(deps.db, attempt.emailOrUsername);
  const matches = await place.verify(attempt.password, found?.passwordHash);
  if (found === undefined || !matches) throw new Problem(credentialsInvalid);
  if (deps.hasher.isOutdated(found.passwordHash)) {
    const passwordHash = await place.hash(attempt.password);
    await rehash(deps.db, { userId: found.userId, passwordHash, before: found.passwordHash });
  }
  await deps.attempts.forgive(budget, key);
  return { proved: found, deviceToken: device?.text };
}

/** A device that has signed in before and means its own account: it has tries of its own, whatever others have used up. */
async function knownDevice(deps: Needs, attempt: Login): Promise<(KnownDevice & { readonly text: string }) | undefined> {
  for (const text of [attempt.deviceCookie, attempt.deviceToken]) {
    const device = text === undefined ? undefined : deps.deviceTokens.read(text);
    if (text === undefined || device === undefined) continue;
    if ((await selectCredentials(deps.db, attempt.emailOrUsername))?.userId === device.userId) return { ...device, text };
  }
  return undefined;
}

/**
 * The account's version row comes before the account where a notice will be needed. The password may have been changed while it was
 * compared, which takes a while: then it was not right any more.
 */
async function begin(deps: Needs, proved: Credentials, { client, deviceToken }: Pick<Login, "client" | "deviceToken">): Promise<LoggedIn> {
  const { userId } = proved;
  const mayTell = await isNewDevice(deps.db, { userId, client });
  const begun = await inTx(deps.db, async (tx) => {
    if (proved.mustChange) return await askForNewPassword(deps, tx, proved);
    if (mayTell) await lockSubject(tx, userId);
    return await beginOrAsk(deps, tx, { userId, client, mayTell, deviceToken, proved });
  });
  if (begun instanceof Problem) throw begun;
  if (begun.kind === "asked") throw mfaProblem(deps, begun);
  return begun.session;
}
