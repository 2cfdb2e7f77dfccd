/**
 * Object-level authorisation, swept from the documents that the running API gives of itself: every REST operation, every
 * GraphQL field, every socket event, asked by somebody else with the owner's ids, and by nobody. Something new has no
 * rule here, and fails until it has one.
 */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import type { Answer, ProblemBody } from "../kit/http-client.ts";
import {
  logIn,
  makeStaff,
  onDatabase,
  registerPeople,
  registerPerson,
  startApiProcess,
  type ApiProcess,
  type SignedIn,
} from "../kit/service.ts";
import { until } from "../kit/until.ts";

const stack = new AsyncDisposableStack();
let database: TestDatabase;
let api: ApiProcess;
/** Whose things they are; a second session of hers; somebody else; and staff. */
let people: Record<"owner" | "ownerElsewhere" | "other" | "moderator" | "admin", SignedIn>;
/** Ids of things that are the owner's. */
let ids: { readonly notice: string; readonly restriction: string };

beforeAll(async () => {
  database = stack.use(await cloneDatabase());
  api = stack.use(await startApiProcess({ database }));
  const made = await registerPeople(api.http, ["owner", "other", "moderator1", "admin1", "keeper"]);
  await makeStaff(database, made.moderator1, "moderator");
  await makeStaff(database, made.admin1, "admin");
  await onDatabase(
    database.adminUrl,
    "insert into passkeys (id, user_id, public_key, counter, name, backed_up) values ($1, $2, '', 0, 'kept', false)",
    [Buffer.from(KEPT, "base64url"), made.keeper.id],
  );
  await onDatabase(
    database.adminUrl,
    "insert into identities (id, provider, issuer, subject, user_id, email) values ($1, 'example', 'https://id.example.com', 'owner', $2, 'owner@elsewhere.example')",
    [LINKED, made.owner.id],
  );
  await onDatabase(
    database.adminUrl,
    "insert into trusted_devices (id, user_id, device_hash, expires_at) values ($1, $2, sha256('device'), now() + interval '1 day')",
    [TRUSTED, made.owner.id],
  );
  people = {
    owner: made.owner,
    ownerElsewhere: await logIn(api.http, "owner"),
    other: made.other,
    moderator: await logIn(api.http, "moderator1"),
    admin: await logIn(api.http, "admin1"),
  };
  const path = `/api/moderation/users/${made.owner.id}/restrictions`;
  const restriction = await api.http.post<{ id: string }>(
    path,
    { kind: "limit", capabilities: ["upload"], reason: "spam", message: "for the owner" },
    people.moderator.accessToken,
  );
  const notices = await api.http.get<{ data: { id: string }[] }>("/api/users/me/notices", made.owner.accessToken);
  ids = { restriction: restriction.body.id, notice: notices.body.data[0]?.id ?? "" };
  await api.http.send("PATCH", "/api/users/me", { token: made.owner.accessToken, body: { bio: "hello" } });
});
afterAll(() => stack.disposeAsync());

/** What only the owner and, of some of it, moderators may learn. */
const secretsOf = (owner: SignedIn): readonly string[] => [
  owner.email,
  owner.sessionId,
  people.ownerElsewhere.sessionId,
  ids.notice,
  ids.restriction,
  KEPT,
  LINKED,
  "owner@elsewhere.example",
  TRUSTED,
  "for the owner",
];

function expectNothingOfTheOwner(answer: unknown): void {
  const text = JSON.stringify(answer);
  for (const secret of secretsOf(people.owner)) expect(text).not.toContain(secret);
}

const count = async (table: string, where: string): Promise<number> =>
  Number((await onDatabase<{ count: string }>(database.adminUrl, `select count(*) from ${table} where ${where}`))[0]?.count);

/** What somebody else gets. */
interface Rule {
  /** Needs no token at all; everything else is refused with `token.missing`. */
  readonly open?: true;
  /** With the owner's ids in it. */
  readonly path?: () => string;
  readonly body?: () => unknown;
  /** `200` and the like, or status and code of the refusal. */
  readonly other: string;
}

/** Of an account of its own: the owner signs in by her password alone here. */
const KEPT = "a2VwdA";
/** An identity of the owner's. */
const LINKED = "019abc00-0000-7000-8000-00000000001d";
/** A trusted device of the owner. */
const TRUSTED = "0190c7a0-0000-7000-8000-0000000000aa";
const nothing = { id: KEPT, rawId: KEPT, type: "public-key" };
const answerOf = (id: string): object => ({
  ...nothing,
  id,
  response: { clientDataJSON: "AAAA", authenticatorData: "AAAA", signature: "AAAA" },
});
const madeOf = (id: string): object => ({ ...nothing, id, response: { clientDataJSON: "AAAA", attestationObject: "AAAA" } });

const staffOnly = "403 access.denied";
const decision = (): object => ({ kind: "ban", reason: "spam" });

/** Method and path as in the OpenAPI document → what another account gets that asks for the owner's. */
const REST: Readonly<Record<string, Rule>> = {
  "POST /api/auth/register": {
    open: true,
    body: () => ({ email: people.owner.email, username: "third", password: "correct horse battery" }),
    other: "409 email.taken",
  },
  "POST /api/auth/login": {
    open: true,
    body: () => ({ emailOrUsername: "owner", password: "not the password" }),
    other: "401 credentials.invalid",
  },
  "POST /api/auth/refresh": { open: true, body: () => ({ refreshToken: "not.the.token" }), other: "401 refresh.invalid" },
  "POST /api/auth/forgot-password": { open: true, body: () => ({ email: people.owner.email }), other: "202" },
  "POST /api/auth/reset-password": {
    open: true,
    body: () => ({ token: "not-the-token", password: "correct horse battery" }),
    other: "400 link.invalid",
  },
  "POST /api/auth/verify-email": { open: true, body: () => ({ email: people.owner.email, code: "000000" }), other: "400 code.invalid" },
  "POST /api/auth/resend-verification": { open: true, body: () => ({ email: people.owner.email }), other: "202" },
  "POST /api/auth/magic-link": { open: true, body: () => ({ email: people.owner.email }), other: "403 email_sign_in.off" },
  "POST /api/auth/magic-link/verify": { open: true, body: () => ({ token: "not-it" }), other: "403 email_sign_in.off" },
  "POST /api/auth/mfa/verify": { open: true, body: () => ({ challenge: "not-it", code: "000000" }), other: "401 mfa.challenge_invalid" },
  "POST /api/auth/mfa/enrol": { open: true, body: () => ({ challenge: "not-it" }), other: "401 mfa.challenge_invalid" },
  "POST /api/auth/mfa/passkey/options": { open: true, body: () => ({ challenge: "not-it" }), other: "401 mfa.challenge_invalid" },
  "POST /api/auth/mfa/passkey": {
    open: true,
    body: () => ({ challenge: "not-it", response: answerOf(KEPT) }),
    other: "401 mfa.challenge_invalid",
  },
  "POST /api/auth/passkeys/login/options": { open: true, other: "200" },
  "POST /api/auth/passkeys/login": { open: true, body: () => ({ response: answerOf(KEPT) }), other: "400 passkey.invalid" },
  "GET /api/auth/oidc": { open: true, other: "200" },
  "POST /api/auth/oidc/{provider}/begin": {
    open: true,
    path: () => "/api/auth/oidc/example/begin",
    body: () => ({}),
    other: "404 oidc.provider_not_found",
  },
  "POST /api/auth/oidc/{provider}/complete": {
    open: true,
    path: () => "/api/auth/oidc/example/complete",
    body: () => ({ response: "state=not-it", binding: "not-it" }),
    other: "404 oidc.provider_not_found",
  },
  "GET /.well-known/jwks.json": { open: true, other: "200" },
  "GET /health": { open: true, other: "200" },
  "GET /health/ready": { open: true, other: "200" },
  "GET /health/services": { open: true, other: "200" },
  "GET /health/metrics": { open: true, other: "200" },
  "GET /metrics": { open: true, other: "200" },

  "GET /api/users/me": { other: "200" },
  "PATCH /api/users/me": { body: () => ({ bio: "mine" }), other: "200" },
  "GET /api/users/me/notices": { other: "200" },
  "POST /api/users/me/notices/read": { body: () => ({ upTo: ids.notice }), other: "200" },
  "PATCH /api/users/me/notices/{id}": {
    path: () => `/api/users/me/notices/${ids.notice}`,
    body: () => ({ read: true }),
    other: "404 notice.not_found",
  },
  "GET /api/auth/trusted-devices": { other: "200" },
  "DELETE /api/auth/trusted-devices": { other: "200" },
  "DELETE /api/auth/trusted-devices/{id}": { path: () => `/api/auth/trusted-devices/${TRUSTED}`, other: "404 trusted_device.not_found" },
  "GET /api/auth/sessions": { other: "200" },
  "POST /api/auth/sessions/revoke-others": { other: "200" },
  "PATCH /api/auth/sessions/{id}": {
    path: () => `/api/auth/sessions/${people.owner.sessionId}`,
    body: () => ({ name: "mine" }),
    other: "404 session.not_found",
  },
  "DELETE /api/auth/sessions/{id}": { path: () => `/api/auth/sessions/${people.owner.sessionId}`, other: "404 session.not_found" },

  "POST /api/auth/change-password": {
    body: () => ({ currentPassword: "not the password", newPassword: "correct horse battery" }),
    other: "403 password.wrong",
  },
  "POST /api/auth/change-email": {
    body: () => ({ email: "other@example.org", currentPassword: "not the password" }),
    other: "403 password.wrong",
  },
  "POST /api/auth/step-up": { body: () => ({ password: "not the password" }), other: "403 password.wrong" },
  "GET /api/auth/mfa": { other: "200" },
  "POST /api/auth/mfa/totp": { other: "201" },
  "POST /api/auth/mfa/totp/confirm": { body: () => ({ code: "not-it" }), other: "403 mfa.code_wrong" },
  "DELETE /api/auth/mfa/totp": { other: "404 totp.not_found" },
  "POST /api/auth/recovery-codes": { other: "404 totp.not_found" },
  "POST /api/auth/step-up/passkey/options": { other: "404 passkey.not_found" },
  "POST /api/auth/step-up/passkey": { body: () => ({ response: answerOf(KEPT) }), other: "400 passkey.invalid" },
  "POST /api/auth/passkeys/options": { other: "200" },
  "POST /api/auth/passkeys": { body: () => ({ name: "mine", response: madeOf(KEPT) }), other: "400 passkey.invalid" },
  "GET /api/auth/passkeys": { other: "200" },
  "PATCH /api/auth/passkeys/{id}": {
    path: () => `/api/auth/passkeys/${KEPT}`,
    body: () => ({ name: "mine" }),
    other: "404 passkey.not_found",
  },
  "DELETE /api/auth/passkeys/{id}": { path: () => `/api/auth/passkeys/${KEPT}`, other: "404 passkey.not_found" },

  "GET /api/users/me/identities": { other: "200" },
  "POST /api/users/me/identities/{provider}/begin": {
    path: () => "/api/users/me/identities/example/begin",
    body: () => ({}),
    other: "404 oidc.provider_not_found",
  },
  "POST /api/users/me/identities/{provider}/complete": {
    path: () => "/api/users/me/identities/example/complete",
    body: () => ({ response: "state=not-it", binding: "not-it" }),
    other: "404 oidc.provider_not_found",
  },
  "DELETE /api/users/me/identities/{id}": { path: () => `/api/users/me/identities/${LINKED}`, other: "404 identity.not_found" },
  "GET /api/users/{idOrUsername}": { path: () => `/api/users/${people.owner.id}`, other: "200" },
  "GET /api/users": { path: () => `/api/users?ids=${people.owner.id}`, other: "200" },
  "GET /api/users/relationships": { path: () => `/api/users/relationships?ids=${people.owner.id}`, other: "200" },
  "GET /api/users/search": { path: () => "/api/users/search?q=owner", other: "200" },
  "GET /api/users/suggestions": { other: "200" },
  "DELETE /api/users/suggestions/{id}": { path: () => `/api/users/suggestions/${people.owner.id}`, other: "204" },
  "POST /api/users/{id}/follow": { path: () => `/api/users/${people.owner.id}/follow`, other: "200" },
  "DELETE /api/users/{id}/follow": { path: () => `/api/users/${people.owner.id}/follow`, other: "200" },
  "GET /api/users/{id}/followers": { path: () => `/api/users/${people.owner.id}/followers`, other: "200" },
  "GET /api/users/{id}/following": { path: () => `/api/users/${people.owner.id}/following`, other: "200" },

  "GET /api/users/me/privacy": { other: "200" },
  "GET /api/users/me/preferences": { other: "200" },
  "PATCH /api/users/me/preferences": { body: () => ({ theme: "dark" }), other: "200" },
  "PATCH /api/users/me/privacy": { body: () => ({ typing: "nobody" }), other: "200" },
  "DELETE /api/users/me/followers/{id}": { path: () => `/api/users/me/followers/${people.owner.id}`, other: "200" },
  "GET /api/users/me/follow-requests": { other: "200" },
  "POST /api/users/me/follow-requests/{id}/accept": {
    path: () => `/api/users/me/follow-requests/${people.owner.id}/accept`,
    other: "404 follow_request.not_found",
  },
  "POST /api/users/me/follow-requests/{id}/reject": {
    path: () => `/api/users/me/follow-requests/${people.owner.id}/reject`,
    other: "404 follow_request.not_found",
  },
  "POST /api/users/{id}/mute": { path: () => `/api/users/${people.owner.id}/mute`, body: () => ({}), other: "200" },
  "GET /api/users/me/mutes": { other: "200" },
  "DELETE /api/users/{id}/mute": { path: () => `/api/users/${people.owner.id}/mute`, other: "200" },
  "POST /api/users/{id}/block": { path: () => `/api/users/${people.owner.id}/block`, other: "200" },
  "GET /api/users/me/blocks": { other: "200" },
  "DELETE /api/users/{id}/block": { path: () => `/api/users/${people.owner.id}/block`, other: "200" },

  "POST /api/moderation/users/{id}/restrictions": {
    path: () => `/api/moderation/users/${people.owner.id}/restrictions`,
    body: decision,
    other: staffOnly,
  },
  "DELETE /api/moderation/restrictions/{id}": {
    path: () => `/api/moderation/restrictions/${ids.restriction}`,
    body: () => ({ note: "x" }),
    other: staffOnly,
  },
  "GET /api/moderation/users/{id}": { path: () => `/api/moderation/users/${people.owner.id}`, other: staffOnly },
  "GET /api/admin/users": { path: () => `/api/admin/users?q=${people.owner.email}`, other: staffOnly },
  "POST /api/admin/users": { body: () => ({ email: "x@example.org", username: "invited", reason: "test" }), other: staffOnly },
  "GET /api/admin/users/{id}": { path: () => `/api/admin/users/${people.owner.id}`, other: staffOnly },
  "PUT /api/admin/users/{id}/roles": {
    path: () => `/api/admin/users/${people.owner.id}/roles`,
    body: () => ({ roles: ["user", "admin"], reason: "test" }),
    other: staffOnly,
  },
  ...Object.fromEntries(
    ["force-reset", "unlock", "reset-mfa", "end-sessions"].map((change) => [
      `POST /api/admin/users/{id}/${change}`,
      { path: () => `/api/admin/users/${people.owner.id}/${change}`, body: () => ({ reason: "test" }), other: staffOnly },
    ]),
  ),
  "POST /api/admin/users/{id}/impersonate": {
    path: () => `/api/admin/users/${people.owner.id}/impersonate`,
    body: () => ({ reason: "wants to look in" }),
    other: staffOnly,
  },
  "GET /api/admin/impersonations": { path: () => `/api/admin/impersonations?userId=${people.owner.id}`, other: staffOnly },
  "DELETE /api/admin/impersonations/{id}": { path: () => `/api/admin/impersonations/${people.owner.sessionId}`, other: staffOnly },
  "GET /api/admin/users/{id}/sessions": { path: () => `/api/admin/users/${people.owner.id}/sessions`, other: staffOnly },
  "POST /api/admin/users/{id}/sessions/{sessionId}/end": {
    path: () => `/api/admin/users/${people.owner.id}/sessions/${people.owner.sessionId}/end`,
    body: () => ({ reason: "test" }),
    other: staffOnly,
  },
  "GET /api/websocket/info": { open: true, other: "200" },
  "GET /api/websocket/stats": { other: staffOnly },

  // Last: they end the session that asks.
  "POST /api/auth/logout": { other: "204" },
  "POST /api/auth/logout-all": { other: "401 session.revoked" },
};

interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly security?: readonly object[] }>>>>;
}

async function operations(): Promise<Readonly<Record<string, { readonly isOpen: boolean }>>> {
  const { body } = await api.http.get<OpenApi>("/openapi.json");
  const found = Object.entries(body.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(
      ([method, { security }]) => [`${method.toUpperCase()} ${path}`, { isOpen: security?.length === 0 }] as const,
    ),
  );
  return Object.fromEntries(found);
}

function ask(operation: string, rule: Rule, token?: string): Promise<Answer<ProblemBody>> {
  const [method = "", declared = ""] = operation.split(" ");
  return api.http.send(method, rule.path?.() ?? declared, { token, ...(rule.body === undefined ? {} : { body: rule.body() }) });
}

const outcomeOf = ({ status, body }: Answer<ProblemBody>): string => (status < 400 ? String(status) : `${status} ${body.code}`);

describe("REST", () => {
  it("has a rule here for every operation of the OpenAPI document, and none for what is not there", async () => {
    const documented = await operations();
    expect(Object.keys(REST).sort()).toEqual(Object.keys(documented).sort());
    expect(
      Object.entries(documented)
        .flatMap(([operation, { isOpen }]) => (isOpen ? [operation] : []))
        .sort(),
    ).toEqual(
      Object.entries(REST)
        .flatMap(([operation, { open }]) => (open === true ? [operation] : []))
        .sort(),
    );
  });

  it("refuses nobody's and nonsense tokens wherever an account is needed", async () => {
    for (const [operation, rule] of Object.entries(REST).filter(([, { open }]) => open !== true)) {
      const [missing, invalid] = [await ask(operation, rule), await ask(operation, rule, "nonsense")];
      expect([operation, outcomeOf(missing), missing.headers["www-authenticate"]]).toEqual([operation, "401 token.missing", "Bearer"]);
      const challenge = 'Bearer error="invalid_token"';
      expect([operation, outcomeOf(invalid), invalid.headers["www-authenticate"]]).toEqual([operation, "401 token.invalid", challenge]);
    }
  });

  it("gives another account nothing of the owner's, and changes nothing", async () => {
    const other = await logIn(api.http, "other");
    for (const [operation, rule] of Object.entries(REST)) {
      const answer = await (operation.endsWith("logout-all")
        ? until(async () => {
            // Logged out by the operation before; known everywhere within a second.
            const late = await ask("GET /api/users/me", { other: "" }, other.accessToken);
            return late.status === 200 ? undefined : ask(operation, rule, other.accessToken);
          })
        : ask(operation, rule, other.accessToken));
      expect([operation, outcomeOf(answer)]).toEqual([operation, rule.other]);
      // A refusal names the path that was asked for.
      expectNothingOfTheOwner({ ...answer.body, instance: undefined });
    }
    expect((await api.http.get("/api/users/me", people.owner.accessToken)).body).toMatchObject({
      username: "owner",
      email: people.owner.email,
      bio: "hello",
      followersCount: 0,
    });
    expect(await count("sessions", `user_id = '${people.owner.id}' and revoked_at is null`)).toBe(2);
    expect(await count("passkeys", "name = 'kept'")).toBe(1);
    expect(await count("identities", `id = '${LINKED}'`)).toBe(1);
    expect(await count("trusted_devices", `user_id = '${people.owner.id}'`)).toBe(1);
    expect(await count("restrictions", `user_id = '${people.owner.id}' and lifted_at is null`)).toBe(1);
    expect(await count("notices", `user_id = '${people.owner.id}' and read_at is not null`)).toBe(0);
  });

  it("gives the owner what is hers, so that each refusal above is about who asks", async () => {
    const mine = await api.http.get<{ data: { id: string }[] }>("/api/auth/sessions", people.owner.accessToken);
    expect(mine.body.data.map(({ id }) => id).sort()).toEqual([people.owner.sessionId, people.ownerElsewhere.sessionId].sort());
    expect(
      outcomeOf(await ask("PATCH /api/users/me/notices/{id}", REST["PATCH /api/users/me/notices/{id}"] as Rule, people.owner.accessToken)),
    ).toBe("200");
    const third = await logIn(api.http, "owner");
    expect((await api.http.send("DELETE", `/api/auth/sessions/${third.sessionId}`, { token: people.owner.accessToken })).status).toBe(204);
  });

  it("gives a moderator the record of a user and the figures of sockets, and no more of a user than that", async () => {
    const token = people.moderator.accessToken;
    const record = await api.http.get<{ restrictions: { id: string }[] }>(`/api/moderation/users/${people.owner.id}`, token);
    expect([record.status, record.body.restrictions.map(({ id }) => id)]).toEqual([200, [ids.restriction]]);
    expect(JSON.stringify(record.body)).not.toContain(people.owner.email);
    expect((await api.http.send("DELETE", `/api/auth/sessions/${people.owner.sessionId}`, { token })).body.code).toBe("session.not_found");
    expect((await api.http.send("PATCH", `/api/users/me/notices/${ids.notice}`, { token, body: { read: true } })).body.code).toBe(
      "notice.not_found",
    );
    expect(JSON.stringify((await api.http.get(`/api/users/${people.owner.id}`, people.admin.accessToken)).body)).not.toContain(
      people.owner.email,
    );
  });

  it("does not tell ids that are somebody's from ids that are nobody's", async () => {
    const other = await registerPerson(api.http, "nosy");
    const nobodys = "0190a000-0000-7000-8000-000000000000";
    for (const [method, path] of [
      ["DELETE", `/api/auth/sessions/:id ${people.owner.sessionId}`],
      ["PATCH", `/api/users/me/notices/:id ${ids.notice}`],
      ["DELETE", `/api/moderation/restrictions/:id ${ids.restriction}`],
      ["GET", `/api/moderation/users/:id ${people.owner.id}`],
    ] as const) {
      const [template = "", id = ""] = path.split(" ");
      const [theirs, none] = await Promise.all(
        [id, nobodys].map((one) =>
          api.http.send(method, template.replace(":id", one), {
            token: other.accessToken,
            ...(method === "GET" ? {} : { body: method === "PATCH" ? { read: true } : { note: "x" } }),
          }),
        ),
      );
      expect(theirs && [theirs.status, theirs.body.code, theirs.body.detail]).toEqual(
        none && [none.status, none.body.code, none.body.detail],
      );
    }
  });
});

const NOTICE = "node { id type data createdAt readAt }";
const SESSION = "id name device place { country city } userAgent address createdAt lastSeenAt expiresAt current byStaff";

/** Root field → how it is asked for with the owner's ids, and what comes back; `ok` is data. */
const GRAPHQL: Readonly<Record<string, { readonly ask: () => string; readonly other: string }>> = {
  "Query.me": { ask: () => "{ me { ...All } }", other: "ok" },
  "Query.user": { ask: () => `{ user(id: "${people.owner.id}") { ...All } }`, other: "ok" },
  "Query._entities": {
    ask: () => `{ _entities(representations: [{ __typename: "User", id: "${people.owner.id}" }]) { ...All } }`,
    other: "ok",
  },
  "Query.users": { ask: () => `{ users(ids: ["${people.owner.id}"]) { ...All } }`, other: "ok" },
  "Query.relationships": {
    ask: () => `{ relationships(ids: ["${people.owner.id}"]) { id isFollowing isBlocking muting { until } } }`,
    other: "ok",
  },
  "Query._service": { ask: () => "{ _service { sdl } }", other: "ok" },
  "Query.searchUsers": { ask: () => `{ searchUsers(query: "owner") { data { ...All } } }`, other: "ok" },
  "Query.suggestions": { ask: () => "{ suggestions(limit: 3) { user { ...All } reason { kind count by { ...All } } } }", other: "ok" },
  "Mutation.dismissSuggestion": { ask: () => `mutation { dismissSuggestion(userId: "${people.owner.id}") { status } }`, other: "ok" },
  "Mutation.updateProfile": { ask: () => `mutation { updateProfile(input: { bio: "mine" }) { ...All } }`, other: "ok" },
  "Mutation.follow": { ask: () => `mutation { follow(userId: "${people.owner.id}") { status } }`, other: "ok" },
  "Mutation.unfollow": { ask: () => `mutation { unfollow(userId: "${people.owner.id}") { status } }`, other: "ok" },
  "Query.privacy": { ask: () => "{ privacy { preset profile } }", other: "ok" },
  "Mutation.updatePrivacy": { ask: () => `mutation { updatePrivacy(input: { typing: "nobody" }) { typing } }`, other: "ok" },
  "Mutation.mute": { ask: () => `mutation { mute(userId: "${people.owner.id}") { status } }`, other: "ok" },
  "Mutation.unmute": { ask: () => `mutation { unmute(userId: "${people.owner.id}") { status } }`, other: "ok" },
  "Mutation.removeFollower": { ask: () => `mutation { removeFollower(userId: "${people.owner.id}") { status } }`, other: "ok" },
  "Mutation.acceptFollowRequest": {
    ask: () => `mutation { acceptFollowRequest(userId: "${people.owner.id}") { status } }`,
    other: "follow_request.not_found",
  },
  "Mutation.rejectFollowRequest": {
    ask: () => `mutation { rejectFollowRequest(userId: "${people.owner.id}") { status } }`,
    other: "follow_request.not_found",
  },
  "Mutation.block": { ask: () => `mutation { block(userId: "${people.owner.id}") { status } }`, other: "ok" },
  "Mutation.unblock": { ask: () => `mutation { unblock(userId: "${people.owner.id}") { status cut { follow followed } } }`, other: "ok" },
  "Query.followRequests": { ask: () => "{ followRequests(first: 2) { totalCount edges { cursor node { ...All } } } }", other: "ok" },
  "Query.blocks": {
    ask: () => "{ blocks { edges { cursor blockedAt cut { follow followed } node { id username displayName avatarUrl } } } }",
    other: "ok",
  },
  "Query.mutes": { ask: () => "{ mutes(first: 2) { edges { cursor until notifications node { ...All } } } }", other: "ok" },
  "Query.notices": { ask: () => `{ notices { unreadCount unreadCountIsExact edges { cursor ${NOTICE} } } }`, other: "ok" },
  "Mutation.markNotice": {
    ask: () => `mutation { markNotice(id: "${ids.notice}", read: true) { id type data } }`,
    other: "notice.not_found",
  },
  "Mutation.markNoticesRead": { ask: () => `mutation { markNoticesRead(upTo: "${ids.notice}") { marked } }`, other: "ok" },
  "Query.preferences": { ask: () => "{ preferences { language theme reducedMotion } }", other: "ok" },
  "Mutation.updatePreferences": { ask: () => `mutation { updatePreferences(input: { theme: "dark" }) { theme } }`, other: "ok" },
  "Query.sessions": { ask: () => `{ sessions { edges { cursor node { ${SESSION} } } } }`, other: "ok" },
  "Mutation.renameSession": {
    ask: () => `mutation { renameSession(id: "${people.owner.sessionId}", name: "mine") { ${SESSION} } }`,
    other: "session.not_found",
  },
  "Mutation.revokeSession": {
    ask: () => `mutation { revokeSession(id: "${people.owner.sessionId}") { status } }`,
    other: "session.not_found",
  },
  "Mutation.revokeOtherSessions": { ask: () => "mutation { revokeOtherSessions { sessionsRevoked } }", other: "ok" },
  "Query.trustedDevices": { ask: () => "{ trustedDevices { id device trustedAt trustedUntil lastUsedAt } }", other: "ok" },
  "Mutation.forgetTrustedDevice": {
    ask: () => `mutation { forgetTrustedDevice(id: "${TRUSTED}") { devicesForgotten } }`,
    other: "trusted_device.not_found",
  },
  "Mutation.forgetTrustedDevices": { ask: () => "mutation { forgetTrustedDevices { devicesForgotten } }", other: "ok" },

  // Last: they end the session that asks.
  "Mutation.logout": { ask: () => "mutation { logout { status } }", other: "ok" },
  "Mutation.revokeAllSessions": { ask: () => "mutation { revokeAllSessions { sessionsRevoked } }", other: "session.revoked" },
};

/** Subscription → how it is asked for with the owner's ids; each is let in, and tells what everybody may read of her. */
const SUBSCRIPTIONS: Readonly<Record<string, () => string>> = {
  "Subscription.userStatus": () => `subscription { userStatus(userIds: ["${people.owner.id}"]) { userId status lastSeenAt seq } }`,
  "Subscription.profileUpdated": () =>
    `subscription { profileUpdated(userIds: ["${people.owner.id}"]) { userId username displayName avatarUrl bio profileVersion } }`,
  "Subscription.notification": () => "subscription { notification { id type data createdAt readAt } }",
};

/** Fields of objects that are about somebody: whether everybody may read them, or only whom they are about. */
const FIELDS: Readonly<Record<string, "everybody" | "own">> = {
  "User.id": "everybody",
  "User.username": "everybody",
  "User.movedFrom": "everybody",
  "User.displayName": "everybody",
  "User.avatarUrl": "everybody",
  "User.bio": "everybody",
  "User.links": "everybody",
  "User.pronouns": "everybody",
  "User.location": "everybody",
  "User.timezone": "everybody",
  "ProfileLink.label": "everybody",
  "ProfileLink.url": "everybody",
  "User.status": "everybody",
  "User.profileVersion": "everybody",
  "User.createdAt": "everybody",
  "User.followersCount": "everybody",
  "User.followingCount": "everybody",
  "User.isFollowing": "everybody",
  "User.followRequested": "everybody",
  "User.followsYou": "everybody",
  "User.social": "everybody",
  "User.followers": "everybody",
  "User.following": "everybody",
  "User.email": "own",
  "User.emailVerified": "own",
  "SocialFigures.postsCount": "everybody",
  "SocialFigures.reactionsCount": "everybody",
  "SocialFigures.asOf": "everybody",
  "UserStatus.userId": "everybody",
  "UserStatus.status": "everybody",
  "UserStatus.lastSeenAt": "everybody",
  "UserStatus.seq": "everybody",
  "ProfileUpdate.userId": "everybody",
  "ProfileUpdate.username": "everybody",
  "ProfileUpdate.displayName": "everybody",
  "ProfileUpdate.avatarUrl": "everybody",
  "ProfileUpdate.bio": "everybody",
  "ProfileUpdate.links": "everybody",
  "ProfileUpdate.pronouns": "everybody",
  "ProfileUpdate.location": "everybody",
  "ProfileUpdate.timezone": "everybody",
  "ProfileUpdate.previousUsername": "everybody",
  "ProfileUpdate.profileVersion": "everybody",
};

/** Objects that are about nobody. */
const PLAIN_TYPES = new Set([
  "FollowResult",
  "BlockResult",
  "UnblockResult",
  "Cut",
  "MuteResult",
  "PrivacySettings",
  "Pagination",
  "UserPage",
  "Suggestion",
  "SuggestionReason",
  "DismissResult",
  "PageInfo",
  "UserConnection",
  "UserEdge",
  "MarkResult",
  "SessionResult",
  "RevokeResult",
  "ForgetResult",
]);

/** Objects that only root fields lead to which give who asks their own: what comes back of them is searched for the owner's. */
const OWN_TYPES = new Set([
  "BlockConnection",
  "BlockEdge",
  "BlockedUser",
  "MuteConnection",
  "MuteEdge",
  "NoticeConnection",
  "NoticeEdge",
  "Notice",
  "Preferences",
  "NotificationPreferences",
  "NotificationChannels",
  "SessionConnection",
  "SessionEdge",
  "Session",
  "SessionPlace",
  "Relationship",
  "Muting",
  "TrustedDevice",
  "_Service",
]);

/** Fields about nobody that anybody may read, as introspection. */
const FOR_ANYBODY = new Set(["Query._service"]);

interface Introspected {
  readonly __schema: {
    readonly types: readonly {
      readonly name: string;
      readonly kind: string;
      readonly fields: readonly { readonly name: string }[] | null;
    }[];
  };
}

async function fieldsOfSchema(): Promise<Readonly<Record<string, readonly string[]>>> {
  const { body } = await api.http.graphql<Introspected>("{ __schema { types { name kind fields { name } } } }");
  const objects =
    body.data?.__schema.types.filter(
      ({ name, kind }) => kind === "OBJECT" && !name.startsWith("__") && !PLAIN_TYPES.has(name) && !OWN_TYPES.has(name),
    ) ?? [];
  return Object.fromEntries(objects.map(({ name, fields }) => [name, (fields ?? []).map((field) => `${name}.${field.name}`)]));
}

describe("GraphQL", () => {
  const fieldsOf = (type: string): string[] =>
    Object.keys(FIELDS).flatMap((field) => (field.startsWith(`${type}.`) ? [field.slice(type.length + 1)] : []));
  const aFewPeople =
    "(first: 2) { totalCount pageInfo { endCursor } edges { cursor node { id username displayName email emailVerified } } }";
  const objects = new Map([
    ["social", `{ ${fieldsOf("SocialFigures").join(" ")} }`],
    ["links", `{ ${fieldsOf("ProfileLink").join(" ")} }`],
    ["followers", aFewPeople],
    ["following", aFewPeople],
  ]);
  const fragment = (): string =>
    ` fragment All on User { ${fieldsOf("User")
      .map((field) => `${field} ${objects.get(field) ?? ""}`)
      .join(" ")} }`;
  const query = (
    field: keyof typeof GRAPHQL,
    token?: string,
  ): Promise<Answer<{ data?: unknown; errors?: { extensions: { code: string } }[] }>> => {
    const text = GRAPHQL[field]?.ask() ?? "";
    return api.http.graphql(text.includes("...All") ? text + fragment() : text, token) as never;
  };

  it("has a rule here for every root field and every field about somebody", async () => {
    const { Query = [], Mutation = [], Subscription = [], ...objects } = await fieldsOfSchema();
    expect(Object.keys(GRAPHQL).sort()).toEqual([...Query, ...Mutation].sort());
    expect(Object.keys(SUBSCRIPTIONS).sort()).toEqual(Subscription.toSorted());
    expect(Object.keys(FIELDS).sort()).toEqual(Object.values(objects).flat().sort());
  });

  it("refuses nobody", async () => {
    for (const field of Object.keys(GRAPHQL).filter((name) => !FOR_ANYBODY.has(name))) {
      expect([field, (await query(field)).body.errors?.map(({ extensions }) => extensions.code)]).toEqual([field, ["token.missing"]]);
    }
  });

  it("gives another account what everybody may read, and of her own nothing but null", async () => {
    const third = await registerPerson(api.http, "third");
    for (const [field, { other }] of Object.entries(GRAPHQL)) {
      const { body } = await query(field, third.accessToken);
      expect([field, body.errors?.[0]?.extensions.code ?? "ok"]).toEqual([field, other]);
      expectNothingOfTheOwner(body);
    }
    const again = await logIn(api.http, "third");
    const seen = (await query("Query.user", again.accessToken)).body.data as { user: Record<string, unknown> };
    const { _entities } = (await query("Query._entities", again.accessToken)).body.data as { _entities: Record<string, unknown>[] };
    const own = Object.keys(FIELDS).filter((name) => name.startsWith("User.") && FIELDS[name] === "own");
    expect(own.length).toBeGreaterThan(0);
    for (const field of own) {
      const values = [seen.user, _entities[0]].map((shown) => shown?.[field.split(".")[1] ?? ""]);
      expect([field, values]).toEqual([field, [null, null]]);
    }
    const me = (await query("Query.me", people.owner.accessToken)).body.data as { me: Record<string, unknown> };
    expect(me.me["email"]).toBe(people.owner.email);
    const hers = JSON.stringify([
      (await query("Query.sessions", people.owner.accessToken)).body,
      (await query("Query.trustedDevices", people.owner.accessToken)).body,
      (await query("Query.notices", people.owner.accessToken)).body,
    ]);
    for (const one of [people.owner.sessionId, people.ownerElsewhere.sessionId, TRUSTED, ids.notice]) expect(hers).toContain(one);
    expect((await api.http.get("/api/users/me", people.owner.accessToken)).body).toMatchObject({ bio: "hello", followersCount: 0 });
  });
});

describe("subscriptions", () => {
  it("give another account nothing of the owner's, and her what is hers", async () => {
    const [fifth, owner] = [await registerPerson(api.http, "fifth"), await logIn(api.http, "owner")];
    using theirs = await api.subscriber(fifth.accessToken);
    using hers = await api.subscriber(owner.accessToken);
    const subscribed = Object.fromEntries(Object.entries(SUBSCRIPTIONS).map(([field, ask]) => [field, theirs.subscribe(ask())]));
    const own = Object.fromEntries(Object.entries(SUBSCRIPTIONS).map(([field, ask]) => [field, hers.subscribe(ask())]));
    await subscribed["Subscription.userStatus"]?.tells();
    await own["Subscription.userStatus"]?.tells();
    const path = `/api/moderation/users/${people.owner.id}/restrictions`;
    const limit = { kind: "limit", capabilities: ["post"], reason: "spam", message: "for the owner" };
    await api.http.post(path, limit, people.moderator.accessToken);
    await api.http.send("PATCH", "/api/users/me", { token: owner.accessToken, body: { bio: "hello again" } });
    await own["Subscription.notification"]?.tells((told) => JSON.stringify(told).includes("for the owner"));
    await own["Subscription.profileUpdated"]?.tells();
    await subscribed["Subscription.profileUpdated"]?.tells();
    expect(subscribed["Subscription.notification"]?.told).toEqual([]);
    for (const { told, refused } of Object.values(subscribed)) expectNothingOfTheOwner({ told, refused });
    expect(Object.values(subscribed).map(({ refused }) => refused)).toEqual([undefined, undefined, undefined]);
    await api.http.send("PATCH", "/api/users/me", { token: owner.accessToken, body: { bio: "hello" } });
    await api.http.post("/api/auth/logout", undefined, owner.accessToken);
    await hers.closes();
  });
});

/** Socket event → what another account sends with the owner's ids, and what it is told. */
const SOCKETS: Readonly<Record<string, { readonly payload: () => object; readonly other: string }>> = {
  "token:refresh": { payload: () => ({ accessToken: people.owner.accessToken }), other: "token.of_another_session" },
  "presence:watch": { payload: () => ({ userIds: [people.owner.id] }), other: "ok" },
  "presence:unwatch": { payload: () => ({ userIds: [people.owner.id] }), other: "ok" },
  "presence:set": { payload: () => ({ status: "away" }), other: "ok" },
  "activity:ping": { payload: () => ({}), other: "ok" },
};

describe("sockets", () => {
  it("have a rule here for every event that clients may send", async () => {
    const { body } = await api.http.get<{ operations: Record<string, { action: string; channel: { $ref: string } }> }>("/asyncapi.json");
    const taken = Object.entries(body.operations).flatMap(([name, { action, channel }]) =>
      action === "receive" && channel.$ref.endsWith("/sockets") ? [name.replace(/^receive\./, "").replace(".", ":")] : [],
    );
    expect(taken.sort()).toEqual(Object.keys(SOCKETS).sort());
  });

  it("give another account nothing of the owner's, neither when it asks nor when things happen to her", async () => {
    const fourth = await registerPerson(api.http, "fourth");
    const owner = await logIn(api.http, "owner");
    using theirs = await api.socket(fourth.accessToken);
    using hers = await api.socket(owner.accessToken);
    for (const [event, { payload, other }] of Object.entries(SOCKETS)) {
      const ack = await theirs.ask(event, payload());
      expect([event, ack.ok ? "ok" : ack.error.code]).toEqual([event, other]);
      expectNothingOfTheOwner(ack);
    }
    const path = `/api/moderation/users/${people.owner.id}/restrictions`;
    await api.http.post(
      path,
      { kind: "limit", capabilities: ["post"], reason: "spam", message: "for the owner" },
      people.moderator.accessToken,
    );
    await hers.tells("account:restricted");
    await hers.tells("notification");
    await api.http.post("/api/auth/logout", undefined, owner.accessToken);
    await hers.closes();
    // She was told all of it; whatever went astray would be here before what is asked for now.
    const other = await logIn(api.http, "other");
    await api.http.post(`/api/users/${fourth.id}/follow`, undefined, other.accessToken);
    for (const name of ["user:followed", "notification"]) await theirs.tells(name);
    // Whether she is online is for those who watch her; it was asked for above.
    const told = theirs.told.map(({ name }) => name).filter((name) => name !== "user:status");
    expect(told.toSorted()).toEqual(["notification", "user:followed"]);
    expectNothingOfTheOwner(theirs.told);
  });

  it("left no error in the log", () => {
    expect(api.errors()).toEqual([]);
  });
});
