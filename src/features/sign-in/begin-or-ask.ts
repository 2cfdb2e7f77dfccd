/** What follows once a password was right: a session, or the question for a second factor. */

import type { Tx } from "#src/db/tx";
import { accountView, hasEnded, lockAccount, type AccountView, type Status } from "#src/features/accounts/public";
import { methodsOf, selectFactors, type FactorMethod } from "#src/features/factors/public";
import { insertToken, LIFETIME_SECONDS, type OneTimeTokens, type Purpose } from "#src/features/one-time-tokens/public";
import { addNotice } from "#src/features/notices/public";
import {
  beginSession,
  deviceOf,
  isNewDevice,
  standingNotice,
  trustDevice,
  trustedUntil,
  type AccessTokens,
  type PlaceOf,
  type RefreshTokens,
  type RestrictionNotice,
  type SessionLimits,
  type SessionTokens,
} from "#src/features/sessions/public";
import type { Client, Role } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { Problem } from "#src/kernel/problem";
import { isPasswordOf, type Credentials } from "./sign-in.sql.ts";
import type { DeviceTokens } from "./device-token.ts";
import { credentialsInvalid, mfaEnrolmentRequired, mfaRequired } from "./sign-in.errors.ts";

interface Needs {
  readonly clock: Clock;
  readonly accessTokens: AccessTokens;
  readonly refreshTokens: RefreshTokens;
  readonly sessionLimits: SessionLimits;
  readonly placeOf?: PlaceOf;
  readonly deviceTokens: DeviceTokens;
  readonly config: { readonly mfaRequiredRoles: readonly Role[]; readonly trustedDeviceDays: number };
}

/** Who signs in, and from where. */
export interface Entering {
  readonly userId: string;
  readonly client: Client;
  /** Whether the caller holds the account's version row (line 2 of the lock order), so that a new device can be told of. */
  readonly mayTell: boolean;
  /** What the device got at an earlier sign-in; it keeps it where it is the account's. */
  readonly deviceToken?: string | undefined;
  /** The password that was right when it was compared. */
  readonly proved?: Pick<Credentials, "changedAt">;
  /** Whether a factor was proved on a device that it shall not be asked for on again. */
  readonly trustDevice?: boolean;
}

/** What a login answers; `restriction` only for the short session of a suspended or banned account. */
export interface LoggedIn extends SessionTokens {
  readonly user: AccountView;
  /** For the next sign-in of this device. */
  readonly deviceToken: string;
  /** Until when the second factor is not asked for on this device; its token must be kept as one of a session then. */
  readonly trustedUntil?: string;
  readonly restriction?: RestrictionNotice;
}

/** A question that was put on record: whoever answers it need not give the password again. */
interface Asked {
  readonly kind: "asked";
  readonly purpose: Extract<Purpose, "mfa_challenge" | "mfa_enrolment">;
  readonly challengeId: string;
  readonly methods: readonly FactorMethod[];
}

/**
 * Begins a session, or asks for a second factor: where the account has one, and where its role must. Within one transaction, so
 * that a factor which is being added is either asked for or added after the session began.
 * @throws Problem `credentials.invalid` for an account that has ended, and when the password was changed meanwhile
 */
export async function beginOrAsk(
  deps: Needs,
  tx: Tx,
  entering: Entering,
): Promise<Asked | { readonly kind: "begun"; readonly session: LoggedIn }> {
  const account = await lockStanding(tx, entering.userId);
  const { userId, proved } = entering;
  if (proved !== undefined && !(await isPasswordOf(tx, { userId, ...proved }))) throw new Problem(credentialsInvalid);
  const methods = methodsOf(await selectFactors(tx, entering.userId));
  const mustHave = mustHaveFactor(deps, account);
  if (methods.length === 0 && !mustHave) return { kind: "begun", session: await begin(deps, tx, { ...entering, account }) };
  const trusted = await trustOf(deps, tx, { ...entering, mustHave });
  if (trusted !== undefined) {
    // Fresh is who has proved all there is: the device did it for its owner, who may have left it lying about.
    const session = await begin(deps, tx, { ...entering, account, fresh: false });
    return { kind: "begun", session: { ...session, trustedUntil: trusted.toISOString() } };
  }
  const purpose = methods.length === 0 ? "mfa_enrolment" : "mfa_challenge";
  const challengeId = newUuid(deps.clock);
  const token = {
    id: challengeId,
    purpose,
    userId,
    email: account.user.email,
    data: {},
    lifetimeSeconds: LIFETIME_SECONDS[purpose],
  } as const;
  await insertToken(tx, token);
  return { kind: "asked", purpose, challengeId, methods };
}

/** Begins the session of somebody who has proved all there is to prove. @throws Problem `credentials.invalid` for an account that has ended */
export async function beginProved(deps: Needs, tx: Tx, entering: Entering): Promise<LoggedIn> {
  const account = await lockStanding(tx, entering.userId);
  const { userId, client } = entering;
  const days =
    entering.trustDevice === true && account.status === "active" && !mustHaveFactor(deps, account) ? deps.config.trustedDeviceDays : 0;
  if (days === 0) return await begin(deps, tx, { ...entering, account });
  // A token of its own: who has seen an older one of this device is not trusted with it.
  const session = await begin(deps, tx, { ...entering, account, deviceToken: undefined });
  const deviceId = deps.deviceTokens.read(session.deviceToken)?.deviceId;
  if (deviceId === undefined) throw new Error("the device's token cannot be read");
  const until = await trustDevice(deps, tx, { userId, deviceId, userAgent: client.userAgent, days });
  return { ...session, trustedUntil: until.toISOString() };
}

function mustHaveFactor({ config }: Needs, { user }: Locked): boolean {
  return config.mfaRequiredRoles.some((role) => user.roles.includes(role));
}

/** Only the password and a device together sign in: a mailed code and a device are things that are had, both. */
async function trustOf(deps: Needs, tx: Tx, entering: Entering & { readonly mustHave: boolean }): Promise<Date | undefined> {
  const { userId, deviceToken, proved, mustHave } = entering;
  if (deps.config.trustedDeviceDays === 0 || mustHave || proved === undefined || deviceToken === undefined) return undefined;
  const device = deps.deviceTokens.read(deviceToken);
  return device?.userId === userId ? await trustedUntil(tx, device) : undefined;
}

/** How a question is put to the client. */
export function mfaProblem(deps: { readonly oneTimeTokens: OneTimeTokens }, { purpose, challengeId, methods }: Asked): Problem {
  const mfa = { challenge: deps.oneTimeTokens.linkText(challengeId), methods, expiresInSeconds: LIFETIME_SECONDS[purpose] };
  return new Problem(purpose === "mfa_challenge" ? mfaRequired : mfaEnrolmentRequired, { extensions: { mfa } });
}

type Locked = NonNullable<Awaited<ReturnType<typeof lockAccount>>> & { readonly status: Status };

/** The account is locked first, so that the session either sees a restriction or is seen by it. */
async function lockStanding(tx: Tx, userId: string): Promise<Locked> {
  const account = await lockAccount(tx, userId);
  if (account === undefined || hasEnded(account)) throw new Problem(credentialsInvalid);
  return account;
}

async function begin(deps: Needs, tx: Tx, entering: Entering & { readonly account: Locked; readonly fresh?: boolean }): Promise<LoggedIn> {
  const { userId, client, account, mayTell, fresh = true } = entering;
  const restricted = account.status !== "active";
  // Asked under the lock, so that of several logins one tells.
  const isNew = mayTell && !restricted && (await isNewDevice(tx, { userId, client }));
  const tokens = await beginSession(deps, tx, { userId, roles: account.user.roles as Role[], client, restricted, fresh });
  if (isNew) {
    const data = { sessionId: tokens.session.id, device: deviceOf(client.userAgent), address: client.address };
    await addNotice(tx, userId, { type: "security.new_device", data });
  }
  const user = accountView(account.user, account.status);
  const begun = { user, ...tokens, deviceToken: deviceTokenFor(deps, entering) };
  if (!restricted) return begun;
  const restriction = await standingNotice(tx, userId);
  return restriction === undefined ? begun : { ...begun, restriction };
}

function deviceTokenFor({ deviceTokens }: Needs, { userId, deviceToken }: Entering): string {
  if (deviceToken !== undefined && deviceTokens.read(deviceToken)?.userId === userId) return deviceToken;
  return deviceTokens.make(userId);
}
