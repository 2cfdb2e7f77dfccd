/** The service that is attacked: real processes, its database, its mail server and two providers, and people to attack. */

import { generateSync } from "otplib";
import { affected, rows, sql } from "#src/db/sql";
import { closeDb, openDb, type Db } from "#src/db/pool";
import { createOneTimeTokens, type OneTimeTokens } from "#src/features/one-time-tokens/public";
import { parseKeyRing } from "#src/features/sessions/key-ring";
import { holdKeyRing } from "#src/features/sessions/key-ring-source";
import { systemClock } from "#src/kernel/clock";
import { silentLog } from "#src/kernel/log";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import { createTokenForge, type TokenForge } from "../kit/forged-tokens.ts";
import type { Answer, ProblemBody } from "../kit/http-client.ts";
import { startIdentityProvider, type IdentityProvider } from "../kit/identity-provider.ts";
import { startMailServer, type MailServer } from "../kit/mail-server.ts";
import { startPostgresProxy } from "../kit/postgres-proxy.ts";
import {
  registerPerson,
  SIGNING_KEYS,
  startApiProcess,
  startWorkerProcess,
  type ApiProcess,
  type ServiceProcess,
  type SignedIn,
  type SignedInBody,
} from "../kit/service.ts";
import { CLIENT_SECRET } from "../kit/sign-in.ts";
import { until } from "../kit/until.ts";
import { createSecrets, type Secrets } from "./secrets.ts";

export const OWN = "https://accounts.example.com";
export const APP = "https://app.example.com";

/** Whatever a door may answer. */
export type Body = SignedInBody &
  ProblemBody & { readonly csrfToken: string; readonly deviceToken: string; readonly mfa: { readonly challenge: string } };

/** An account with an authenticator app. */
export interface WithApp extends SignedIn {
  readonly secret: string;
  readonly recoveryCodes: readonly string[];
  /** What the app shows now, or would show so many seconds from now. */
  readonly code: (inSeconds?: number) => string;
}

export interface Target {
  /** Somebody whom nothing of it may bother. */
  readonly bystander: SignedIn;
  /** Without throttles, so that what is refused is refused for what it is. */
  readonly api: ApiProcess;
  /** With throttles, behind one proxy: `X-Forwarded-For` is believed by one hop. */
  readonly guarded: ApiProcess;
  readonly worker: ServiceProcess;
  readonly database: TestDatabase;
  readonly db: Db;
  readonly mail: MailServer;
  readonly provider: IdentityProvider;
  readonly otherProvider: IdentityProvider;
  readonly forge: TokenForge;
  readonly oneTimeTokens: OneTimeTokens;
  readonly secrets: Secrets;
  /** Statements that `api` has sent. */
  readonly statements: readonly string[];
  /** One more process. */
  readonly start: () => Promise<ApiProcess>;
  readonly newcomer: () => Promise<SignedIn>;
  readonly withApp: () => Promise<WithApp>;
  /** The challenge of a sign-in by the right password. */
  readonly challengeOf: (person: SignedIn) => Promise<string>;
  /** What was mailed last to the address for this purpose, from the key ring. */
  readonly mailed: (email: string, purpose: string) => Promise<{ readonly link: string; readonly code: string }>;
}

/** Before anybody is there. */
export type Running = Omit<Target, "bystander"> & AsyncDisposable;

/** Starts all of it. */
export async function startTarget(): Promise<Running> {
  await using starting = new AsyncDisposableStack();
  const database = starting.use(await cloneDatabase());
  const db = openDb({ url: database.url, maxConnections: 4, applicationName: "test", log: silentLog });
  starting.defer(() => closeDb(db));
  const proxy = starting.use(await startPostgresProxy(database.url));
  const mail = starting.use(await startMailServer({ tls: "none" }));
  const provider = starting.use(await startIdentityProvider("a"));
  const otherProvider = starting.use(await startIdentityProvider("b"));
  const env = {
    PUBLIC_URL: OWN,
    CORS_ORIGINS: APP,
    WEBAUTHN_RP_ID: "example.com",
    EMAIL_SIGN_IN: "on",
    OIDC_PROVIDERS: JSON.stringify([provider.configured, otherProvider.configured]),
    SECRET_OIDC_CLIENT_SECRETS: JSON.stringify({ a: CLIENT_SECRET, b: CLIENT_SECRET }),
    SMTP_URL: `smtp://127.0.0.1:${mail.port}?tls=off`,
    MAIL_FROM: "no-reply@example.org",
  };
  const secrets = createSecrets();
  const start = async (more: object = {}, url = database.url): Promise<ApiProcess> => {
    const api = await startApiProcess({ database: { url }, env: { ...env, ...more } });
    secrets.watch(api.http);
    return api;
  };
  const [api, guarded, worker] = await Promise.all([
    start({}, proxy.urlOf(database.url)),
    start({ RATE_LIMITS: "on", TRUSTED_PROXY_HOPS: "1" }),
    startWorkerProcess({ database, env }),
  ]);
  for (const one of [worker, guarded, api]) starting.use(one);
  const stack = starting.move();
  secrets.add("client secret", CLIENT_SECRET);
  for (const key of SIGNING_KEYS.match(/"(?:pkcs8|secret)":"[^"]+"/g) ?? []) secrets.add("key", key.split('"')[3] ?? "");
  const oneTimeTokens = createOneTimeTokens(holdKeyRing(parseKeyRing(SIGNING_KEYS), systemClock));
  const forge = createTokenForge(SIGNING_KEYS, OWN);
  return {
    api,
    guarded,
    worker,
    database,
    db,
    mail,
    provider,
    otherProvider,
    forge,
    oneTimeTokens,
    secrets,
    statements: proxy.texts,
    start: () => start(),
    ...peopleOf({ api, db, oneTimeTokens, secrets }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

type People = Pick<Target, "newcomer" | "withApp" | "challengeOf" | "mailed">;

function peopleOf({ api, db, oneTimeTokens, secrets }: Pick<Target, "api" | "db" | "oneTimeTokens" | "secrets">): People {
  let count = 0;
  const newcomer = (): Promise<SignedIn> => registerPerson(api.http, `person${(count += 1)}`);
  return {
    newcomer,
    withApp: async () => {
      const person = await newcomer();
      // Proved: what is in an account before is gone with the first mail that proves its address.
      await affected(db, sql`update users set email_verified_at = now() where id = ${person.id}::uuid`);
      const { secret } = (await api.http.post<{ secret: string }>("/api/auth/mfa/totp", undefined, person.accessToken)).body;
      const code = (inSeconds = 0): string => generateSync({ secret, epoch: Math.floor(Date.now() / 1000) + inSeconds });
      // The step before, so that this one and the next are still to be used.
      const body = { code: code(-30) };
      const confirmed = await api.http.post<{ recoveryCodes: string[] }>("/api/auth/mfa/totp/confirm", body, person.accessToken);
      return { ...person, secret, code, recoveryCodes: confirmed.body.recoveryCodes };
    },
    challengeOf: async ({ username, password }) =>
      (await api.http.post<Body>("/api/auth/login", { emailOrUsername: username, password })).body.mfa.challenge,
    mailed: async (email, purpose) => {
      const found = await until(
        () =>
          rows<{ id: string }>(
            db,
            sql`select id from one_time_tokens where email = ${email} and purpose = ${purpose} and user_id is not null and used_at is null
                order by id desc limit 1`,
          ).then(([one]) => one?.id),
        { withinMs: 20_000, what: `a mail to ${email}` },
      );
      const made = { link: oneTimeTokens.linkText(found), code: oneTimeTokens.code(found) };
      secrets.add("link", made.link);
      secrets.add("code", made.code);
      return made;
    },
  };
}

/** Requests of an address of one's own, to the process behind the proxy. */
export const from = (address: string): { readonly headers: Readonly<Record<string, string>> } => ({
  headers: { "x-forwarded-for": address },
});

/** Status and code or `ok` of many. */
export const tally = (answers: readonly Answer<unknown>[], as: (answer: Answer<unknown>) => string): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const answer of answers) counts[as(answer)] = (counts[as(answer)] ?? 0) + 1;
  return counts;
};
