/** Every path that takes or gives a token × every state of an account, against running processes. A new route fails until it is in the table. */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { generateSync } from "otplib";
import { closeDb, openDb, type Db } from "#src/db/pool";
import { affected, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { createOneTimeTokens, type OneTimeTokens } from "#src/features/one-time-tokens/public";
import { generateKeyRing, parseKeyRing } from "#src/features/sessions/key-ring";
import { revokeAll } from "#src/features/sessions/public";
import { holdKeyRing } from "#src/features/sessions/key-ring-source";
import { gateProblems } from "#src/features/sessions/sessions.errors";
import { delay, systemClock } from "#src/kernel/clock";
import { silentLog } from "#src/kernel/log";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import type { Answer, ProblemBody } from "../kit/http-client.ts";
import { startIdentityProvider, type IdentityProvider } from "../kit/identity-provider.ts";
import {
  logIn,
  makeStaff,
  registerPeople,
  registerPerson,
  SIGNING_KEYS,
  startApiProcess,
  startWorkerProcess,
  type ApiProcess,
  type SignedIn,
  type SignedInBody,
} from "../kit/service.ts";
import { CLIENT_SECRET } from "../kit/sign-in.ts";
import { ConnectRefused } from "../kit/socket-client.ts";
import { until } from "../kit/until.ts";
import {
  CHALLENGE_OF_BEFORE,
  DOORS,
  EMAIL_CODE_OF_BEFORE,
  IDENTITY_OF_BEFORE,
  OPEN_TO_VISITORS,
  PASSWORD_OF_BEFORE,
  PROVIDER_STATE_OF_BEFORE,
  REFRESH_TOKEN_OF_BEFORE,
  RESET_LINK_OF_BEFORE,
  STATES,
  TOKEN_OF_BEFORE,
  TRUSTED_DEVICE_OF_BEFORE,
  type Admits,
  type State,
} from "./token-matrix.ts";

const stack = new AsyncDisposableStack();
let database: TestDatabase;
let db: Db;
let api: ApiProcess;
/** With another ring on the same database: every key of `api` is retired there. */
let rekeyed: ApiProcess;
/** With PUBLIC_PROFILES on. */
let visited: ApiProcess;
let moderator: SignedIn;
let oneTimeTokens: OneTimeTokens;
let provider: IdentityProvider;

beforeAll(async () => {
  database = stack.use(await cloneDatabase());
  db = openDb({ url: database.url, maxConnections: 4, applicationName: "test", log: silentLog });
  stack.defer(() => closeDb(db));
  provider = stack.use(await startIdentityProvider("example", { clientAuth: "post" }));
  const env = {
    EMAIL_SIGN_IN: "on",
    OIDC_PROVIDERS: JSON.stringify([provider.configured]),
    SECRET_OIDC_CLIENT_SECRETS: JSON.stringify({ example: CLIENT_SECRET }),
  };
  const [first, second, third, worker] = await Promise.all([
    startApiProcess({ database, env }),
    startApiProcess({ database, env: { ...env, SECRET_SIGNING_KEYS: generateKeyRing() } }),
    startApiProcess({ database, env: { ...env, PUBLIC_PROFILES: "on" } }),
    startWorkerProcess({ database }),
  ]);
  [api, rekeyed, visited] = [stack.use(first), stack.use(second), stack.use(third)];
  stack.use(worker);
  oneTimeTokens = createOneTimeTokens(holdKeyRing(parseKeyRing(SIGNING_KEYS), systemClock));
  await makeStaff(database, await registerPerson(api.http, "moderator1"), "moderator");
  moderator = await logIn(api.http, "moderator1");
}, 90_000);
afterAll(() => stack.disposeAsync());

const PASSWORD = "correct horse battery";
/** The feed is read each 100 ms, and changes made here by SQL send no NOTIFY. */
const KNOWN_EVERYWHERE_MS = 1_000;

const restricted = (kind: "limit" | "suspend" | "ban"): ((person: SignedIn) => Promise<unknown>) => {
  const capabilities = ["post", "follow", "message", "be_found", "edit_profile", "upload"];
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  const body = { kind, reason: "spam", ...(kind === "limit" && { capabilities }), ...(kind === "suspend" && { expiresAt }) };
  return async ({ id }) => {
    const { status } = await api.http.post(`/api/moderation/users/${id}/restrictions`, body, moderator.accessToken);
    if (status !== 201) throw new Error(`${kind}: ${status}`);
  };
};

const ended = (status: "deactivated" | "erased"): ((person: SignedIn) => Promise<unknown>) => {
  return ({ id }) =>
    inTx(db, async (tx) => {
      await affected(tx, sql`update users set status = ${status} where id = ${id}::uuid`);
      await affected(tx, sql`insert into revocations (subject, reason) values (${id}::uuid, 'account.changed')`);
    });
};

/** Brings an account into a state. */
const BRING: Readonly<Record<State, (person: SignedIn) => Promise<unknown>>> = {
  active: ({ id }) => affected(db, sql`update users set email_verified_at = now() where id = ${id}::uuid`),
  unverified: () => Promise.resolve(),
  limited: restricted("limit"),
  suspended: restricted("suspend"),
  banned: restricted("ban"),
  deactivated: ended("deactivated"),
  erased: ended("erased"),
  "role changed": ({ id }) => inTx(db, (tx) => revokeAll(tx, id, "account.changed")),
  "password changed": async (person) => {
    const elsewhere = await logIn(api.http, person.username);
    const body = { currentPassword: PASSWORD, newPassword: "another battery" };
    await api.http.post("/api/auth/change-password", body, elsewhere.accessToken);
  },
  "session revoked": async (person) => {
    const elsewhere = await logIn(api.http, person.username);
    await api.http.send("DELETE", `/api/auth/sessions/${person.sessionId}`, { token: elsewhere.accessToken });
  },
  "key retired": () => Promise.resolve(),
};

const serving = (state: State): ApiProcess => (state === "key retired" ? rekeyed : api);
const gateCodes = new Set(gateProblems.map(({ code }) => code));

/** The gate's refusal, or `admitted`. */
function admission({ status, body }: Answer<Partial<ProblemBody> | undefined>): string {
  const code = status >= 400 ? body?.code : undefined;
  return code !== undefined && gateCodes.has(code) ? code : "admitted";
}

const stateOf = ({ closed }: { readonly closed: unknown }): string => (closed === undefined ? "open" : "closed");

/** The code that a connection was refused with, or `admitted`. */
function entry(opening: Promise<Disposable>): Promise<string> {
  return opening.then(
    (connection) => {
      connection[Symbol.dispose]();
      return "admitted";
    },
    (error: unknown) => (error instanceof ConnectRefused ? error.data?.code : String(error).split(" ").at(-1)) ?? "?",
  );
}

const tokenDoors = Object.entries(DOORS).filter((entry): entry is [string, Admits] => entry[1] !== undefined);

/** Who knocks at a door: one for all that only read, and one for each that might end what the next would be asked about. */
const knocker = (operation: string): string => (operation.startsWith("GET ") ? "reader" : operation);
const KNOCKERS = [...new Set(tokenDoors.map(([operation]) => knocker(operation)))];

const AT_ONCE = 16;
const NOBODY = "019abc00-0000-7000-8000-000000000001";
const QUERIES: Readonly<Record<string, string>> = {
  "/api/users": `?ids=${NOBODY}`,
  "/api/users/relationships": `?ids=${NOBODY}`,
  "/api/users/search": "?q=nobody",
};
/** Refused by what it is for, where it is refused at all: what counts is whether the gate let it through. */
function knock(at: ApiProcess, operation: string, token: string | undefined): Promise<Answer<ProblemBody>> {
  const [method = "", declared = ""] = operation.split(" ");
  const path = declared.replaceAll(/\{\w+\}/g, NOBODY) + (QUERIES[declared] ?? "");
  return at.http.send(method, path, { token, ...(method === "GET" || method === "DELETE" ? {} : { body: {} }) });
}

function expected(admits: Admits, state: State): string {
  const gate = TOKEN_OF_BEFORE[state];
  if (gate !== "admitted") return gate;
  if (admits === "staff") return "access.denied";
  return admits === "capable" && state === "limited" ? "capability.limited" : "admitted";
}

/** So many new accounts, each with a session. */
async function newcomers<Name extends string>(prefix: string, names: readonly Name[]): Promise<Record<Name, SignedIn>> {
  const people: Record<string, SignedIn> = {};
  // No more at once than may wait for a hash.
  for (let from = 0; from < names.length; from += AT_ONCE) {
    const some = names.slice(from, from + AT_ONCE).map((_, index) => `${prefix}${from + index}`);
    Object.assign(people, await registerPeople(api.http, some));
  }
  return Object.fromEntries(names.map((name, index) => [name, people[`${prefix}${index}`]])) as Record<Name, SignedIn>;
}

const given = ({ status, body }: Answer<Partial<SignedInBody> & Partial<ProblemBody>>): string => {
  if (status >= 400) return body.code ?? String(status);
  return body.refreshToken === undefined ? "short" : "tokens";
};

it("has a line for every operation of the OpenAPI document, and none for what is not there", async () => {
  const { body } = await api.http.get<{ paths: Record<string, Record<string, { security?: object[] }>> }>("/openapi.json");
  const documented = Object.entries(body.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { security }]) => [`${method.toUpperCase()} ${path}`, security?.length !== 0] as const),
  );
  const wanted = Object.entries(DOORS).map(([operation, admits]) => [operation, admits !== undefined] as const);
  expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(wanted));
});

describe("whoever sends no token", () => {
  const FIELDS: Readonly<Record<string, string>> = {
    "Query.user": `{ user(id: "${NOBODY}") { id } }`,
    "Query.users": `{ users(ids: ["${NOBODY}"]) { id } }`,
    "Query.relationships": `{ relationships(ids: ["${NOBODY}"]) { id } }`,
    "Query.me": "{ me { id } }",
    "Query.searchUsers": `{ searchUsers(query: "no") { data { id } } }`,
    "Query.suggestions": "{ suggestions { user { id } } }",
    "Query.privacy": "{ privacy { profile } }",
    "Mutation.follow": `mutation { follow(userId: "${NOBODY}") { status } }`,
  };

  it.each(["off", "on"] as const)("is let in at the doors that the table names, with PUBLIC_PROFILES %s", async (setting) => {
    const at = setting === "on" ? visited : api;
    const isOpen = (door: string): boolean => setting === "on" && OPEN_TO_VISITORS.has(door);
    const outcomes: Record<string, string> = {};
    const wanted: Record<string, string> = {};
    for (const [operation] of tokenDoors) {
      outcomes[operation] = admission(await knock(at, operation, undefined));
      wanted[operation] = isOpen(operation) ? "admitted" : "token.missing";
    }
    for (const [field, text] of Object.entries(FIELDS)) {
      const { body } = await at.http.graphql(text);
      const code = body.errors?.[0]?.extensions.code;
      outcomes[field] = code !== undefined && gateCodes.has(code) ? code : "admitted";
      wanted[field] = isOpen(field) ? "admitted" : "token.missing";
    }
    expect(outcomes).toEqual(wanted);
    await expect(at.socket("")).rejects.toBeInstanceOf(ConnectRefused);
  });

  it("is told so still where a token was sent that is not good", async () => {
    expect(admission(await knock(visited, "GET /api/users/{idOrUsername}", "nonsense"))).toBe("token.invalid");
    const banned = await newcomers("v0x", ["banned"]);
    await BRING.banned(banned.banned);
    await delay(KNOWN_EVERYWHERE_MS);
    expect(admission(await knock(visited, "GET /api/users/{idOrUsername}", banned.banned.accessToken))).toBe("account.restricted");
  });
});

describe.each(STATES)("an account that is: %s", (state) => {
  const index = STATES.indexOf(state);

  it("has its access token of before taken or refused at every door of REST, GraphQL, subscriptions and sockets", async () => {
    const names = [...KNOCKERS, "graphql", "notices", "mutation", "leaving", "connect", "connected", "subscribe", "subscribed"];
    const people = await newcomers(`a${index}x`, names);
    const person = (name: string): SignedIn => people[name] as SignedIn;
    using connected = await serving(state === "key retired" ? "active" : state).socket(person("connected").accessToken);
    using subscribed = await serving(state === "key retired" ? "active" : state).subscriber(person("subscribed").accessToken);
    for (const one of Object.values(people)) await BRING[state](one);
    await delay(KNOWN_EVERYWHERE_MS);
    const at = serving(state);
    const outcomes: Record<string, string> = {};
    const wanted: Record<string, string> = {};
    for (const [operation, admits] of tokenDoors) {
      outcomes[operation] = admission(await knock(at, operation, person(knocker(operation)).accessToken));
      wanted[operation] = expected(admits, state);
    }
    for (const [name, text, admits] of [
      ["graphql", "{ me { id } }", "accounts"],
      ["notices", "{ notices { unreadCount } }", "restricted too"],
      ["mutation", `mutation { unfollow(userId: "${NOBODY}") { status } }`, "accounts"],
      ["leaving", "mutation { logout { status } }", "restricted too"],
    ] as const) {
      const { body } = await at.http.graphql(text, person(name).accessToken);
      const code = body.errors?.[0]?.extensions.code;
      outcomes[name] = code !== undefined && gateCodes.has(code) ? code : "admitted";
      wanted[name] = expected(admits, state);
    }
    outcomes["connect"] = await entry(at.socket(person("connect").accessToken));
    wanted["connect"] = expected("accounts", state);
    outcomes["subscribe"] = await entry(at.subscriber(person("subscribe").accessToken));
    wanted["subscribe"] = expected("accounts", state);
    // The process with the other ring knows nothing of these connections.
    outcomes["connected"] = stateOf(connected);
    outcomes["subscribed"] = stateOf(subscribed);
    const open = expected("accounts", state) === "admitted" || state === "key retired" ? "open" : "closed";
    Object.assign(wanted, { connected: open, subscribed: open });
    expect(outcomes).toEqual(wanted);
  }, 60_000);

  it("has its refresh token, password, challenge and mailed link of before answered as the table says", async () => {
    const people = await newcomers(`b${index}x`, ["refresh", "login", "challenge", "reset", "email", "identity", "begun", "trusted"]);
    const secret = await addApp(people.challenge);
    const challenge = await challengeOf(people.challenge);
    const deviceToken = await trustOf(people.trusted);
    const link = await linkOf(people.reset, "/api/auth/forgot-password", "password_reset");
    const emailLink = await linkOf(people.email, "/api/auth/magic-link", "sign_in");
    for (const one of [people.identity, people.begun]) await linkIdentity(one);
    const begun = await beginAtProvider(api, people.begun);
    for (const one of [people.refresh, people.login, people.reset, people.email, people.identity, people.begun]) await BRING[state](one);
    if (state === "password changed" || state === "session revoked") await bringWithApp(state, people.challenge, secret);
    else await BRING[state](people.challenge);
    if (state === "password changed" || state === "session revoked")
      await bringBy(state, people.trusted, await byDevice(people.trusted, deviceToken));
    else await BRING[state](people.trusted);
    await delay(KNOWN_EVERYWHERE_MS);
    const { http } = serving(state);
    const code = generateSync({ secret, epoch: Math.floor(Date.now() / 1000) + 30 });
    const { status, body } = await http.post<ProblemBody>("/api/auth/reset-password", { token: link, password: "yet another one" });
    expect({
      refresh: given(await http.post("/api/auth/refresh", { refreshToken: people.refresh.refreshToken })),
      login: given(await http.post("/api/auth/login", { emailOrUsername: people.login.username, password: PASSWORD })),
      challenge: given(await http.post("/api/auth/mfa/verify", { challenge, code })),
      email: given(await http.post("/api/auth/magic-link/verify", { token: emailLink })),
      identity: given(await http.post("/api/auth/oidc/example/complete", await beginAtProvider(serving(state), people.identity))),
      begun: given(await http.post("/api/auth/oidc/example/complete", begun)),
      trusted: given(
        await http.post("/api/auth/login", {
          emailOrUsername: people.trusted.username,
          password: state === "password changed" ? "another battery" : PASSWORD,
          deviceToken,
        }),
      ),
      reset: status === 200 ? "set" : body.code,
    }).toEqual({
      refresh: REFRESH_TOKEN_OF_BEFORE[state],
      login: PASSWORD_OF_BEFORE[state],
      challenge: CHALLENGE_OF_BEFORE[state],
      email: EMAIL_CODE_OF_BEFORE[state],
      identity: IDENTITY_OF_BEFORE[state],
      begun: PROVIDER_STATE_OF_BEFORE[state],
      trusted: TRUSTED_DEVICE_OF_BEFORE[state],
      reset: RESET_LINK_OF_BEFORE[state],
    });
  }, 60_000);
});

describe.each(["suspended", "banned"] as const)("the short session of an account that is %s", (state) => {
  it("passes the doors that say so, and no other", async () => {
    const people = Object.entries(await newcomers(`c${STATES.indexOf(state)}x`, KNOCKERS));
    const tokens = new Map<string, string>();
    for (const [name, person] of people) {
      await BRING[state](person);
      tokens.set(name, (await logIn(api.http, person.username)).accessToken);
    }
    for (const [operation, admits] of tokenDoors) {
      const outcome = admission(await knock(api, operation, tokens.get(knocker(operation))));
      expect([operation, outcome]).toEqual([operation, admits === "restricted too" ? "admitted" : "account.restricted"]);
    }
  }, 60_000);
});

async function addApp({ accessToken }: SignedIn): Promise<string> {
  const { secret } = (await api.http.post<{ secret: string }>("/api/auth/mfa/totp", undefined, accessToken)).body;
  // The step before, so that this one and the next are still to be used.
  const code = generateSync({ secret, epoch: Math.floor(Date.now() / 1000) - 30 });
  const { status } = await api.http.post("/api/auth/mfa/totp/confirm", { code }, accessToken);
  if (status !== 200) throw new Error(`the app was not taken: ${status}`);
  return secret;
}

async function challengeOf({ username }: SignedIn): Promise<string> {
  const body = { emailOrUsername: username, password: PASSWORD };
  const answer = await api.http.post<{ mfa: { challenge: string } }>("/api/auth/login", body);
  return answer.body.mfa.challenge;
}

/** Where a second session needs a code of the app as well. */
async function bringWithApp(state: "password changed" | "session revoked", person: SignedIn, secret: string): Promise<void> {
  const challenge = await challengeOf(person);
  const code = generateSync({ secret });
  await bringBy(state, person, (await api.http.post<SignedInBody>("/api/auth/mfa/verify", { challenge, code })).body);
}

async function bringBy(
  state: "password changed" | "session revoked",
  person: SignedIn,
  { accessToken }: Pick<SignedInBody, "accessToken">,
): Promise<void> {
  if (state === "session revoked") await api.http.send("DELETE", `/api/auth/sessions/${person.sessionId}`, { token: accessToken });
  else await api.http.post("/api/auth/change-password", { currentPassword: PASSWORD, newPassword: "another battery" }, accessToken);
}

/** An identity whose subject is the account's id. */
function linkIdentity({ id }: SignedIn): Promise<unknown> {
  return affected(
    db,
    sql`insert into identities (id, provider, issuer, subject, user_id)
        values (gen_random_uuid(), 'example', ${provider.issuer}, ${id}, ${id}::uuid)`,
  );
}

/** What somebody who has signed in at the provider brings back. */
async function beginAtProvider(at: ApiProcess, { id }: SignedIn): Promise<{ response: string; binding: string }> {
  const { body } = await at.http.post<{ authorizationUrl: string; binding: string }>("/api/auth/oidc/example/begin", {});
  return { response: await provider.signIn(body.authorizationUrl, id), binding: body.binding };
}

/** A device that needs no code of the app. */
async function trustOf(person: SignedIn): Promise<string> {
  const secret = await addApp(person);
  const body = { challenge: await challengeOf(person), code: generateSync({ secret }), trustDevice: true };
  return (await api.http.post<{ deviceToken: string }>("/api/auth/mfa/verify", body)).body.deviceToken;
}

async function byDevice({ username }: SignedIn, deviceToken: string): Promise<SignedInBody> {
  const body = { emailOrUsername: username, password: PASSWORD, deviceToken };
  return (await api.http.post<SignedInBody>("/api/auth/login", body)).body;
}

/** The text of a link whose mail was sent, so that it is known whose it is. */
async function linkOf({ email }: SignedIn, path: string, purpose: string): Promise<string> {
  await api.http.post(path, { email });
  const id = await until(async () => {
    const found = await rows<{ id: string }>(
      db,
      sql`select id from one_time_tokens where email = ${email} and purpose = ${purpose} and user_id is not null`,
    );
    return found[0]?.id;
  });
  return oneTimeTokens.linkText(id);
}
