/** Signing in by a mail: six digits, or a link into the application. Off unless `EMAIL_SIGN_IN=on`. Factors are asked for all the same. */

import type { Db } from "#src/db/pool";
import { inTx, type Tx } from "#src/db/tx";
import { lockSubject } from "#src/events/append";
import { lockFacts, writeVerified } from "#src/features/accounts/public";
import { dropUnprovedFactors, lacksProvedAddress } from "#src/features/factors/public";
import { dropUnprovedIdentities } from "#src/features/identities/public";
import {
  codeInvalid,
  findUsable,
  linkInvalid,
  present,
  requestLink,
  use,
  type OneTimeTokens,
  type Proof,
  type Purpose,
} from "#src/features/one-time-tokens/public";
import { distrustDevices, revokeAll } from "#src/features/sessions/public";
import type { Attempts, Client, Role } from "#src/kernel/actor";
import { newUuid } from "#src/kernel/ids";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { beginOrAsk, mfaProblem, type LoggedIn } from "./begin-or-ask.ts";
import { dropPassword } from "./end-password.ts";
import { mailReset } from "./forgot-password.ts";
import { signInMailJob } from "./registration.ts";
import { mailAddressBudget, mailSubject } from "./sign-in.actions.ts";
import { emailSignInOff } from "./sign-in.errors.ts";

type Needs = Parameters<typeof beginOrAsk>[0] & {
  readonly db: Db;
  readonly log: Log;
  readonly attempts: Attempts;
  readonly oneTimeTokens: OneTimeTokens;
  readonly config: { readonly emailSignIn: boolean; readonly mfaRequiredRoles: readonly Role[]; readonly trustedDeviceDays: number };
  /** Counts logins by outcome. */
  readonly onLogin: (outcome: string) => void;
};

const PURPOSES: readonly Purpose[] = ["sign_in"];

/** Has a code mailed, if that address has an account: the same answer, after the same statements. @throws Problem `email_sign_in.off`, `sign_in.throttled` */
export async function requestEmailSignIn(deps: Needs, input: { readonly email: string; readonly client: Client }): Promise<void> {
  const { email, client } = input;
  if (!deps.config.emailSignIn) throw new Problem(emailSignInOff);
  await deps.attempts.take(mailAddressBudget, mailSubject("sign_in", email));
  await inTx(deps.db, async (tx) => {
    await requestLink(tx, signInMailJob, { id: newUuid(deps.clock), purpose: "sign_in", email, locale: client.locale });
  });
}

/**
 * Signs in by what was mailed, once.
 * @throws Problem `email_sign_in.off`, `code.invalid`, `link.invalid`, `credentials.invalid`, `mfa.required`, `mfa.enrolment_required`, `sign_in.throttled`
 */
export async function signInByEmail(
  deps: Needs,
  input: { readonly proof: Proof; readonly deviceToken?: string | undefined; readonly client: Client },
): Promise<LoggedIn> {
  try {
    const session = await enter(deps, input);
    deps.onLogin(session.restriction === undefined ? "accepted" : "restricted");
    const { client } = input;
    securityEvent(deps.log, { kind: "login.succeeded", userId: session.user.id, sessionId: session.session.id, address: client.address });
    return session;
  } catch (error) {
    const code = error instanceof Problem ? error.code : "failed";
    deps.onLogin(code);
    const kind = code.startsWith("mfa.") ? "login.challenged" : "login.failed";
    securityEvent(deps.log, { kind, address: input.client.address, reason: code });
    throw error;
  }
}

async function enter(deps: Needs, { proof, deviceToken, client }: Parameters<typeof signInByEmail>[1]): Promise<LoggedIn> {
  if (!deps.config.emailSignIn) throw new Problem(emailSignInOff);
  const presented = await present(deps, { proof, purposes: PURPOSES, client });
  const userId = (await findUsable(deps.db, presented.id))?.userId ?? null;
  if (userId === null) throw new Problem(presented.isCode ? codeInvalid : linkInvalid);
  const begun = await inTx(
    deps.db,
    async (tx) => {
      await lockSubject(tx, userId);
      await lockFacts(tx, userId);
      const { email } = await use(tx, presented, PURPOSES);
      await keepOutOthers(deps, tx, { userId, email });
      await writeVerified(tx, userId);
      return await beginOrAsk(deps, tx, { userId, client, mayTell: true, deviceToken });
    },
    { durable: true },
  );
  if (begun.kind === "asked") throw mfaProblem(deps, begun);
  return begun.session;
}

/**
 * It came to that address, and nobody had proved it before: what somebody else put into the account, and knows of it, opens it no more
 * (pre-hijacking: Sudhodanan and Paverd, USENIX Security 2022). Who did that themselves get a link for a new password.
 */
async function keepOutOthers(deps: Needs, tx: Tx, { userId, email }: { readonly userId: string; readonly email: string }): Promise<void> {
  if (!(await lacksProvedAddress(tx, userId))) return;
  await dropUnprovedIdentities(tx, userId);
  await dropUnprovedFactors(tx, userId);
  const hadPassword = await dropPassword(tx, userId);
  await distrustDevices(tx, userId);
  await revokeAll(tx, userId, "password_reset");
  if (hadPassword) await mailReset(deps, tx, { userId, email });
}
