import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { affected, row, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { lockFacts } from "#src/features/accounts/public";
import { forceReset } from "#src/features/admin/first-aid";
import type { Actor } from "#src/kernel/actor";
import type { SessionId, UserId } from "#src/kernel/ids";
import { startIdentityProvider, type IdentityProvider } from "../../../test/kit/identity-provider.ts";
import { codeOf } from "../../../test/kit/outcome.ts";
import { testClient } from "../../../test/kit/sessions.ts";
import { signInKit, type SignInKit } from "../../../test/kit/sign-in.ts";
import { until } from "../../../test/kit/until.ts";
import { loginByProvider } from "../sign-in/provider-login.ts";
import { beginExchange } from "./exchange.ts";
import type { IdentityView } from "./identity-view.ts";
import { beginLink, completeLink } from "./link-identity.ts";
import { listIdentities, unlinkIdentity } from "./own-identities.ts";

const stack = new AsyncDisposableStack();
let kit: SignInKit;
let a: IdentityProvider;
let b: IdentityProvider;

beforeAll(async () => {
  a = stack.use(await startIdentityProvider("a"));
  b = stack.use(await startIdentityProvider("b"));
  kit = stack.use(await signInKit(false, [a.configured, b.configured]));
});
afterAll(() => stack.disposeAsync());

type Owner = Pick<Actor, "userId" | "sessionId">;

async function person(username: string): Promise<Owner> {
  const { user, session } = await kit.registered(username);
  return { userId: user.id as UserId, sessionId: session.id as SessionId };
}

async function link(actor: Owner, at: IdentityProvider, subject: string): Promise<IdentityView> {
  const provider = at.configured.id;
  const begun = await beginLink(kit, { actor, provider });
  const response = await at.signIn(begun.authorizationUrl, subject);
  return await completeLink(kit, { actor, provider, response, binding: begun.binding });
}

async function enter(at: IdentityProvider, subject: string): Promise<{ userId: string; sessionId: string }> {
  const provider = at.configured.id;
  const begun = await beginExchange(kit, { provider });
  const response = await at.signIn(begun.authorizationUrl, subject);
  const { user, session } = await loginByProvider(kit, { provider, response, binding: begun.binding, client: testClient });
  return { userId: user.id, sessionId: session.id };
}

const age = (sessionId: string): Promise<number> =>
  affected(kit.db, sql`update sessions set created_at = created_at - interval '11 minutes' where id = ${sessionId}::uuid`);
const isOver = async (sessionId: string): Promise<boolean> =>
  (await row(kit.db, sql`select 1 from sessions where id = ${sessionId}::uuid and revoked_at is not null`)) !== undefined;

it("links what its owner has signed in to, whatever its address; it signs in, and its owner is told", async () => {
  const ann = await person("ann");
  a.people.set("ann", { email: "else@example.com", email_verified: true });
  const identity = await link(ann, a, "ann");
  expect(identity).toMatchObject({ provider: "a", displayName: "Provider a", email: "else@example.com", lastUsedAt: null });
  expect((await enter(a, "ann")).userId).toBe(ann.userId);
  const [listed] = await listIdentities(kit, ann);
  expect(listed).toMatchObject({ id: identity.id, lastUsedAt: expect.any(String) });
  expect(
    await rows(kit.db, sql`select type, data from notices where user_id = ${ann.userId}::uuid and type like 'security.identity%'`),
  ).toEqual([{ type: "security.identity_linked", data: { provider: "Provider a" } }]);
  expect(await row(kit.db, sql`select action, actor_id from audit_log where subject_id = ${ann.userId}::uuid`)).toEqual({
    action: "identity.linked",
    actor_id: ann.userId,
  });
});

it("wants a session that was proved within ten minutes, to begin, to complete and to unlink", async () => {
  const bea = await person("bea");
  const begun = await beginLink(kit, { actor: bea, provider: "a" });
  const response = await a.signIn(begun.authorizationUrl, "bea");
  await age(bea.sessionId);
  expect(await codeOf(beginLink(kit, { actor: bea, provider: "a" }))).toBe("step_up.required");
  expect(await codeOf(completeLink(kit, { actor: bea, provider: "a", response, binding: begun.binding }))).toBe("step_up.required");
  expect(await listIdentities(kit, bea)).toEqual([]);
  expect(await codeOf(unlinkIdentity(kit, { actor: bea, id: "019abc00-0000-7000-8000-000000000001" }))).toBe("step_up.required");
});

it("completes in no other session, account or purpose than it was begun in", async () => {
  const [cat, thief] = [await person("cat"), await person("thief")];
  const elsewhere = { ...cat, sessionId: (await kit.begin({ id: cat.userId })).session.id as SessionId };
  const begun = await beginLink(kit, { actor: thief, provider: "a" });
  const response = await a.signIn(begun.authorizationUrl, "thief");
  const returned = { provider: "a", response, binding: begun.binding };
  // The stranger's callback, brought to the victim's session: it would sign the stranger in to the victim's account.
  expect(await codeOf(completeLink(kit, { ...returned, actor: cat }))).toBe("oidc.state_invalid");
  expect(await codeOf(loginByProvider(kit, { ...returned, client: testClient }))).toBe("oidc.state_invalid");
  const own = await beginLink(kit, { actor: cat, provider: "a" });
  const back = { provider: "a", response: await a.signIn(own.authorizationUrl, "cat"), binding: own.binding };
  expect(await codeOf(completeLink(kit, { ...back, actor: elsewhere }))).toBe("oidc.state_invalid");
  expect(await codeOf(completeLink(kit, { ...back, actor: cat }))).toBe("ok");
  const signingIn = await beginExchange(kit, { provider: "a" });
  const signedIn = { provider: "a", response: await a.signIn(signingIn.authorizationUrl, "cat2"), binding: signingIn.binding };
  expect(await codeOf(completeLink(kit, { ...signedIn, actor: cat }))).toBe("oidc.state_invalid");
});

it("gives one identity to one account, of any number that link it at once", async () => {
  const owners = await Promise.all(["dan1", "dan2", "dan3", "dan4"].map(person));
  const codes: string[] = [];
  const ready = [];
  for (const actor of owners) {
    const begun = await beginLink(kit, { actor, provider: "a" });
    ready.push({ actor, provider: "a", binding: begun.binding, response: await a.signIn(begun.authorizationUrl, "dan") });
  }
  codes.push(...(await Promise.all(ready.map((one) => codeOf(completeLink(kit, one))))));
  expect(codes.toSorted()).toEqual(["identity.taken", "identity.taken", "identity.taken", "ok"]);
});

it("unlinks: other sessions end, what waits for a factor ends, its owner is told, and it opens nothing", async () => {
  const eva = await person("eva");
  const { id } = await link(eva, a, "eva");
  const other = await enter(a, "eva");
  await affected(
    kit.db,
    sql`insert into one_time_tokens (id, purpose, user_id, email, expires_at)
        values (gen_random_uuid(), 'mfa_challenge', ${eva.userId}::uuid, '', now() + interval '5 minutes')`,
  );
  await unlinkIdentity(kit, { actor: eva, id });
  expect([await isOver(other.sessionId), await isOver(eva.sessionId)]).toEqual([true, false]);
  expect(
    await row(
      kit.db,
      sql`select 1 from one_time_tokens where user_id = ${eva.userId}::uuid and used_at is null and purpose = 'mfa_challenge'`,
    ),
  ).toBeUndefined();
  expect(
    await row(kit.db, sql`select 1 from notices where user_id = ${eva.userId}::uuid and type = 'security.identity_unlinked'`),
  ).toBeDefined();
  a.people.set("eva", { email: "eva@example.com", email_verified: true });
  expect(await codeOf(enter(a, "eva"))).toBe("identity.address_taken");
});

it("signs nobody in whose identity is unlinked while they come back", async () => {
  const eve = await person("eve_late");
  const { id } = await link(eve, a, "eve_late");
  const begun = await beginExchange(kit, { provider: "a" });
  const response = await a.signIn(begun.authorizationUrl, "eve_late");
  const entering = await inTx(kit.db, async (tx) => {
    await lockFacts(tx, eve.userId);
    const late = codeOf(loginByProvider(kit, { provider: "a", response, binding: begun.binding, client: testClient }));
    await until(
      async () =>
        (await row(kit.db, sql`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)) !==
        undefined,
      { what: "the sign-in to wait for the account" },
    );
    await affected(tx, sql`delete from identities where id = ${id}::uuid`);
    return { late };
  });
  expect(await entering.late).toBe("credentials.invalid");
});

it("unlinks nobody else's, and none twice", async () => {
  const [fay, guy] = [await person("fay"), await person("guy")];
  const { id } = await link(fay, a, "fay");
  expect(await codeOf(unlinkIdentity(kit, { actor: guy, id }))).toBe("identity.not_found");
  expect(await codeOf(unlinkIdentity(kit, { actor: fay, id }))).toBe("ok");
  expect(await codeOf(unlinkIdentity(kit, { actor: fay, id }))).toBe("identity.not_found");
});

it("leaves the last way in: of two unlinked at once one stays", async () => {
  a.people.set("hal", { email: "hal@example.com", email_verified: true });
  const entered = await enter(a, "hal");
  const hal = { userId: entered.userId as UserId, sessionId: entered.sessionId as SessionId };
  const [first] = await listIdentities(kit, hal);
  expect(await codeOf(unlinkIdentity(kit, { actor: hal, id: first?.id ?? "" }))).toBe("identity.last_way_in");
  const second = await link(hal, b, "hal");
  const codes = await Promise.all([first?.id ?? "", second.id].map((id) => codeOf(unlinkIdentity(kit, { actor: hal, id }))));
  expect(codes.toSorted()).toEqual(["identity.last_way_in", "ok"]);
});

it("does not count an identity whose provider is configured no more as a way in", async () => {
  a.people.set("ida", { email: "ida@example.com", email_verified: true });
  const entered = await enter(a, "ida");
  const ida = { userId: entered.userId as UserId, sessionId: entered.sessionId as SessionId };
  await affected(
    kit.db,
    sql`insert into identities (id, provider, issuer, subject, user_id) values (gen_random_uuid(), 'gone', 'https://gone.example.com', 'ida', ${ida.userId}::uuid)`,
  );
  const [first] = await listIdentities(kit, ida);
  expect(await codeOf(unlinkIdentity(kit, { actor: ida, id: first?.id ?? "" }))).toBe("identity.last_way_in");
});

it("has another issuer under the same name open nothing", async () => {
  const joe = await person("joe");
  await link(joe, a, "joe");
  await affected(kit.db, sql`update identities set issuer = 'https://before.example.com' where subject = 'joe'`);
  a.people.set("joe", { email: "joe@elsewhere.example", email_verified: true });
  expect(await codeOf(enter(a, "joe"))).toBe("identity.address_taken");
});

it("ends with a password reset that an admin forces", async () => {
  const kim = await person("kim");
  await link(kim, a, "kim");
  await forceReset(kit, { by: "operator", userId: kim.userId, reason: "taken over" });
  expect(await listIdentities(kit, kim)).toEqual([]);
});
