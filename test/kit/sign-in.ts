/** What signing in and mailed links need, on a database of the test's own, with the worker's jobs and the development mailbox. */

import { rows, row, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { writeVerified } from "#src/features/accounts/public";
import { addressesJobs } from "#src/features/addresses/addresses.jobs";
import { createSeals, signInThrottled, type Seals } from "#src/features/factors/public";
import { createProviders, type OidcProvider, type Providers } from "#src/features/identities/public";
import { noticesJobs } from "#src/features/notices/notices.jobs";
import { createOneTimeTokens, type OneTimeTokens } from "#src/features/one-time-tokens/public";
import { register } from "#src/features/sign-in/register";
import {
  createDeviceTokens,
  type DeviceTokens,
  createPasswordHasher,
  noBreachedPasswords,
  type BreachedPasswords,
  type PasswordHasher,
} from "#src/features/sign-in/public";
import { signInJobs } from "#src/features/sign-in/sign-in.jobs";
import { createJobRunner } from "#src/jobs/runner";
import type { Action, Attempts, Role } from "#src/kernel/actor";
import { systemClock } from "#src/kernel/clock";
import { silentLog } from "#src/kernel/log";
import { openMailbox } from "#src/mail/mailbox";
import { waitAfterMs } from "#src/sidecar/attempt-rule";
import { createAttempts } from "#src/sidecar/attempts";
import { localState } from "#src/sidecar/local/local-state.sql";
import { sessionKit, testClient, type SessionKit } from "./sessions.ts";
import { until } from "./until.ts";

/** A mail that arrived. */
export interface ArrivedMail {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  /** The last part of the link's path, where there is one. */
  readonly token: string;
  /** The six digits, where there are some. */
  readonly code: string;
}

export interface SignInKit extends SessionKit {
  readonly hasher: PasswordHasher;
  readonly breachedPasswords: BreachedPasswords;
  readonly attempts: Attempts;
  /** Moves the clock by which attempts are counted. */
  readonly waitSeconds: (seconds: number) => void;
  readonly oneTimeTokens: OneTimeTokens;
  readonly seals: Seals;
  readonly providers: Providers;
  readonly deviceTokens: DeviceTokens;
  readonly config: {
    readonly production: false;
    readonly publicUrl: string;
    readonly issuer: string;
    readonly mfaRequiredRoles: readonly Role[];
    readonly registration: "open" | "verified";
    readonly trustedDeviceDays: number;
    readonly emailSignIn: boolean;
    readonly emailSignInUrl: string;
    readonly webauthn: { readonly rpId: string; readonly origins: readonly string[] };
  };
  readonly outcomes: string[];
  readonly onRegistration: (outcome: string) => void;
  readonly onLogin: (outcome: string) => void;
  /** Waits until every job is done, and gives what arrived at an address, oldest first. */
  readonly mailTo: (email: string) => Promise<readonly ArrivedMail[]>;
  /** Registers in open mode; the password is `securepass`. */
  readonly registered: (username: string) => ReturnType<typeof register>;
  /** The same, and their address was proved. */
  readonly proved: (username: string) => ReturnType<typeof register>;
}

/** The client secret at every provider of a test. */
export const CLIENT_SECRET = "secret of the client";

/** @param limits whether budgets of attempts are counted; @param oidcProviders whom one may sign in through */
export async function signInKit(limits = false, oidcProviders: readonly OidcProvider[] = []): Promise<SignInKit> {
  const kit = await sessionKit();
  const { db } = kit;
  const outcomes: string[] = [];
  const hasher = createPasswordHasher({ cost: 4, threads: 1 });
  const oneTimeTokens = createOneTimeTokens(kit.keyRing);
  let waitedMs = 0;
  const attemptsClock = { ...systemClock, now: () => new Date(systemClock.now().getTime() + waitedMs) };
  const base = "http://localhost:3002";
  const config: SignInKit["config"] = {
    production: false,
    publicUrl: base,
    issuer: base,
    mfaRequiredRoles: [],
    registration: "open",
    trustedDeviceDays: 30,
    emailSignIn: true,
    emailSignInUrl: "https://app.example.com/enter",
    webauthn: { rpId: "localhost", origins: [base, "https://app.example.com"] },
  };
  const providers = createProviders({
    providers: oidcProviders,
    clientSecrets: () => Promise.resolve(Object.fromEntries(oidcProviders.map(({ id }) => [id, CLIENT_SECRET]))),
    clock: systemClock,
    log: silentLog,
  });
  const runner = createJobRunner({
    db,
    log: silentLog,
    deps: { db, config, mail: openMailbox({ db, config }), openOneTimeTokens: () => Promise.resolve(oneTimeTokens) },
    jobs: [...noticesJobs, ...signInJobs, ...addressesJobs],
    sweeps: [],
    pollMs: 10,
    // One after the other, so that mails arrive in the order in which they were asked for.
    concurrency: 1,
  });
  runner.start();
  const parts = {
    ...kit,
    hasher,
    breachedPasswords: noBreachedPasswords,
    outcomes,
    oneTimeTokens,
    seals: createSeals(kit.keyRing),
    providers,
    deviceTokens: createDeviceTokens(kit.keyRing),
    config,
    waitSeconds: (seconds: number) => void (waitedMs += seconds * 1_000),
    attempts: createAttempts({
      state: localState(db),
      clock: attemptsClock,
      log: silentLog,
      enabled: limits,
      refusal: signInThrottled,
      capacity: 1_000,
    }),
    onRegistration: (outcome: string) => void outcomes.push(`registration ${outcome}`),
    onLogin: (outcome: string) => void outcomes.push(`login ${outcome}`),
  };
  const registered = (username: string): ReturnType<typeof register> =>
    register(parts, { email: `${username}@example.com`, username, password: "securepass", client: testClient });
  return {
    ...parts,
    mailTo: async (email) => {
      await until(async () => (await row(db, sql`select 1 from jobs where state = 'waiting' limit 1`)) === undefined, { what: "the jobs" });
      return (await mailAt(parts, email)).map(asArrived);
    },
    registered,
    proved: async (username) => {
      const made = await registered(username);
      await inTx(db, (tx) => writeVerified(tx, made.user.id));
      return made;
    },
    [Symbol.asyncDispose]: async () => {
      await runner.stop(AbortSignal.timeout(2_000));
      await hasher.close();
      await providers.close();
      await kit[Symbol.asyncDispose]();
    },
  };
}

interface MailRow {
  readonly subject: string;
  readonly text_body: string;
  readonly html_body: string;
}

function mailAt({ db }: Pick<SessionKit, "db">, email: string): Promise<MailRow[]> {
  return rows<MailRow>(db, sql`select subject, text_body, html_body from mailbox where recipient = ${email} order by sent_at, message_id`);
}

function asArrived({ subject, text_body: text, html_body: html }: MailRow): ArrivedMail {
  const token = /(?:\/confirm\/|#token=)([\w-]+)$/m.exec(text)?.[1] ?? "";
  return { subject, text, html, token, code: / (\d{6})$/m.exec(text)?.[1] ?? "" };
}

/** Waits after a try, by the kit's clock, until its pace lets the next one through. @param tries how many there have been */
export function waitOf(kit: Pick<SignInKit, "waitSeconds">, { pace }: Action): (tries: number) => void {
  return (tries) => kit.waitSeconds(pace === undefined ? 0 : waitAfterMs(tries, pace) / 1_000);
}
