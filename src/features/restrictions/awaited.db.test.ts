/** Declarations about an address that nobody has: every way in which somebody may come to have it. */

import { createHash } from "node:crypto";
import { describe, expect, it } from "@jest/globals";
import pg from "pg";
import { userRegistered } from "#src/contract/event-types";
import { affected, row, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { appendEvent } from "#src/events/append";
import { toCloudEvent, type OutgoingEvent } from "#src/events/cloud-event";
import { createInbox } from "#src/events/inbox";
import { ensureFirstAdmin } from "#src/features/sign-in/public";
import type { CloudEvent } from "#src/sidecar/port";
import { codeOf, Declarations, wishOf } from "../../../test/kit/declarations.ts";
import { people, type Person } from "../../../test/kit/people.ts";
import { sessionKit, type SessionKit } from "../../../test/kit/sessions.ts";
import { until } from "../../../test/kit/until.ts";
import { imposeOverdue } from "./impose-awaited.ts";
import { wishBody } from "./declared.schemas.ts";
import { restrictionsConsumers } from "./restrictions.consumers.ts";
import { readWish } from "./wish.ts";

const BAN = "prod:team-a:newcomer";
const OTHER = "prod:team-b:newcomer";
const hashOf = (address: string): string => createHash("sha256").update(address.toLowerCase()).digest("hex");

async function statusOf(kit: SessionKit, id: string): Promise<string | undefined> {
  return (await row<{ status: string }>(kit.db, sql`select status from user_standings where user_id = ${id}::uuid`))?.status;
}

type Registered = Pick<Person, "id" | "username">;

/** The event of a registration, written as `register` does. */
async function registrationOf(kit: SessionKit, { id, username }: Registered): Promise<CloudEvent> {
  const data = { userId: id, username, displayName: username, avatarUrl: null, createdAt: kit.clock.now().toISOString() };
  await inTx(kit.db, (tx) => appendEvent(tx, userRegistered, { subject: id, data }));
  const event = await row<OutgoingEvent>(
    kit.db,
    sql`select * from outbox where subject = ${id}::uuid and topic = 'users.v1' order by user_version desc limit 1`,
  );
  if (event === undefined) throw new Error("the event was not written");
  return toCloudEvent(event);
}

/** Its delivery, by the real inbox to the real consumers. */
async function deliver(kit: SessionKit, event: CloudEvent): Promise<string> {
  const inbox = createInbox({
    db: kit.db,
    log: kit.log,
    deps: { ...kit, pushes: { toUser: () => {}, toRoom: () => {} } },
    consumers: restrictionsConsumers,
    receipts: { note: () => {} },
  });
  return String(await inbox.subscriptions.find(({ topic }) => topic === "users.v1")?.deliver(event));
}

async function told(kit: SessionKit, person: Registered): Promise<string> {
  return await deliver(kit, await registrationOf(kit, person));
}

describe("a declaration about an address that nobody has", () => {
  it.each([
    ["as it is", { email: "Newcomer@Example.com" }],
    ["as its hash", { emailHash: hashOf("newcomer@example.com") }],
  ])("waits, the address given %s, and is imposed by the event of the registration", async (_form, user) => {
    await using kit = await sessionKit();
    const api = new Declarations(kit);
    const waiting = await api.put(BAN, { user, message: "No.", durationSeconds: 3600 });
    expect(waiting).toMatchObject({
      outcome: "waiting",
      restriction: { state: "waiting", userId: null, restrictionId: null, enforcedAt: null },
    });
    expect(await api.put(BAN, { user, message: "No.", durationSeconds: 3600 })).toEqual({ ...waiting, outcome: "unchanged" });
    expect(api.settled).toBe(0);

    const { newcomer } = await people(kit.db, { newcomer: {} });
    const { session } = await kit.begin(newcomer);
    const event = await registrationOf(kit, newcomer);
    expect(await deliver(kit, event)).toBe("SUCCESS");
    expect(await statusOf(kit, newcomer.id)).toBe("banned");
    expect(await api.get(BAN)).toMatchObject({ state: "active", userId: newcomer.id, sessionsRevoked: 1, generation: 1 });
    expect(await row(kit.db, sql`select revoked_reason from sessions where id = ${session.id}::uuid`)).toEqual({
      revoked_reason: "account.restricted",
    });
    expect((await api.put(BAN, { user, message: "No.", durationSeconds: 3600 })).outcome).toBe("unchanged");
    // Told again, and by another event of the same account.
    expect([await deliver(kit, event), await told(kit, newcomer)]).toEqual(["SUCCESS", "SUCCESS"]);
    expect(await rows(kit.db, sql`select id from restrictions`)).toHaveLength(1);
  });

  it("keeps the hash only, and forgets even that when it is imposed or ended", async () => {
    await using kit = await sessionKit();
    const api = new Declarations(kit);
    await api.put(BAN, { user: { email: "Newcomer@Example.com" }, reason: "words" });
    const kept = await row<{ whole: string; hash: string }>(
      kit.db,
      sql`select d::text as whole, encode(email_hash, 'hex') as hash from declared_restrictions d`,
    );
    expect(kept?.hash).toBe(hashOf("newcomer@example.com"));
    expect(kept?.whole.toLowerCase()).not.toContain("newcomer@");
    await people(kit.db, { newcomer: {} });
    expect((await api.put(BAN, { user: { email: "Newcomer@Example.com" }, reason: "words" })).outcome).toBe("imposed");
    expect(await row(kit.db, sql`select wish, email_hash from declared_restrictions`)).toEqual({ wish: null, email_hash: null });
    await api.put(OTHER, { user: { email: "other@example.com" }, uid: "uid-2" });
    await api.end(OTHER, { uid: "uid-2" });
    expect(await row(kit.db, sql`select wish, email_hash from declared_restrictions where uid = 'uid-2'`)).toEqual({
      wish: null,
      email_hash: null,
    });
  });

  it("is not missed by a registration that commits between the look and the waiting", async () => {
    await using kit = await sessionKit();
    const api = new Declarations(kit);
    const admin = new pg.Client({ connectionString: kit.database.adminUrl });
    await admin.connect();
    try {
      // Readers pass, the insert of the waiting row does not.
      await admin.query("begin");
      await admin.query("lock table declared_restrictions in share mode");
      const put = api.put(BAN, { user: { email: "newcomer@example.com" } });
      put.catch(() => {});
      await until(
        async () =>
          (await row(
            kit.db,
            sql`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%insert into declared%'`,
          )) !== undefined,
        { what: "the waiting row to wait for the lock" },
      );
      const { newcomer } = await people(kit.db, { newcomer: {} });
      expect(await told(kit, newcomer)).toBe("SUCCESS");
      expect(await statusOf(kit, newcomer.id)).toBe("active");
      await admin.query("commit");
      expect(await put).toMatchObject({ outcome: "imposed", restriction: { state: "active", userId: newcomer.id } });
      expect(await statusOf(kit, newcomer.id)).toBe("banned");
    } finally {
      await admin.end();
    }
    expect(api.settled).toBe(1);
  });

  it("is imposed by its repeat, or by the sweep, where no event told", async () => {
    await using kit = await sessionKit();
    const api = new Declarations(kit);
    await api.put(BAN, { user: { email: "newcomer@example.com" } });
    await api.put(OTHER, { user: { email: "renamed@example.com" }, uid: "uid-2" });
    const { newcomer, ann } = await people(kit.db, { newcomer: {}, ann: {} });
    expect(await api.put(BAN, { user: { email: "newcomer@example.com" } })).toMatchObject({
      outcome: "imposed",
      restriction: { userId: newcomer.id },
    });
    expect(await imposeOverdue(kit, AbortSignal.timeout(5_000))).toBe(0);
    // Somebody changes to the address.
    await affected(kit.db, sql`update users set email = 'Renamed@example.com' where id = ${ann.id}::uuid`);
    expect(await imposeOverdue(kit, AbortSignal.timeout(5_000))).toBe(1);
    expect(await statusOf(kit, ann.id)).toBe("banned");
    expect(await api.get(OTHER)).toMatchObject({ state: "active", userId: ann.id });
  });

  it("waits with its newest version", async () => {
    await using kit = await sessionKit();
    const api = new Declarations(kit);
    const user = { email: "newcomer@example.com" };
    await api.put(BAN, { user });
    expect(await api.put(BAN, { user, generation: 2, kind: "limit", capabilities: ["post"] })).toMatchObject({ outcome: "waiting" });
    expect(await api.put(BAN, { user, generation: 3, kind: "limit", capabilities: ["post"] })).toMatchObject({ outcome: "unchanged" });
    expect(await codeOf(api.put(BAN, { user, generation: 2, kind: "limit", capabilities: ["post"] }))).toBe("restriction.superseded");
    expect(await codeOf(api.put(BAN, { user: { email: "another@example.com" }, generation: 4 }))).toBe("input.invalid");
    const { newcomer } = await people(kit.db, { newcomer: {} });
    await told(kit, newcomer);
    expect(await api.get(BAN)).toMatchObject({ state: "active", generation: 3 });
    expect(await row(kit.db, sql`select limited from users where id = ${newcomer.id}::uuid`)).toEqual({ limited: ["post"] });
  });

  it("waits no more when it is ended", async () => {
    await using kit = await sessionKit();
    const api = new Declarations(kit);
    await api.put(BAN, { user: { email: "newcomer@example.com" } });
    expect(await api.end(BAN)).toMatchObject({ outcome: "lifted", restriction: { state: "gone", userId: null } });
    const { newcomer } = await people(kit.db, { newcomer: {} });
    expect(await told(kit, newcomer)).toBe("SUCCESS");
    expect(await statusOf(kit, newcomer.id)).toBe("active");
  });

  it("imposes nothing when its term is over before anybody comes", async () => {
    await using kit = await sessionKit();
    const api = new Declarations(kit);
    const user = { email: "newcomer@example.com" };
    await api.put(BAN, { user, expiresAt: new Date(Date.now() + 600_000).toISOString() });
    // As if that had been long ago.
    const expiresAt = new Date(Date.now() - 600_000).toISOString();
    const { contentHash } = readWish(wishBody.parse(wishOf({ user, expiresAt })));
    await affected(
      kit.db,
      sql`update declared_restrictions set wish = jsonb_set(wish, '{expiresAt}', to_jsonb(${expiresAt}::text)), content_hash = ${contentHash}`,
    );
    expect(await api.get(BAN)).toMatchObject({ state: "ended" });
    // It stands in nobody's way.
    expect((await api.put(OTHER, { user, uid: "uid-2" })).outcome).toBe("waiting");
    const { newcomer } = await people(kit.db, { newcomer: {} });
    expect(await told(kit, newcomer)).toBe("SUCCESS");
    expect(await imposeOverdue(kit, AbortSignal.timeout(5_000))).toBe(0);
    expect(await api.get(OTHER)).toMatchObject({ state: "active" });
    expect(await api.put(BAN, { user, expiresAt })).toMatchObject({ outcome: "unchanged", restriction: { state: "ended" } });
    expect(await api.put(BAN, { user, expiresAt, generation: 2 })).toMatchObject({
      outcome: "unchanged",
      restriction: { state: "ended", generation: 2 },
    });
  });

  it("is in conflict with another that waits for the same address", async () => {
    await using kit = await sessionKit();
    const api = new Declarations(kit);
    await api.put(BAN, { user: { email: "newcomer@example.com" } });
    const second = (): Promise<{ readonly outcome: string }> =>
      api.put(OTHER, { user: { emailHash: hashOf("newcomer@example.com") }, uid: "uid-2" });
    expect(await codeOf(second())).toBe("restriction.conflict");
    await api.end(BAN);
    expect((await second()).outcome).toBe("waiting");
  });

  it("is not imposed on an admin who turns out to have it, and its next repeat says so", async () => {
    await using kit = await sessionKit();
    const api = new Declarations(kit);
    await api.put(BAN, { user: { email: "chief@example.com" } });
    const hasher = { hash: () => Promise.resolve("$2b$04$x") };
    await ensureFirstAdmin({ ...kit, hasher }, { username: "chief", email: "chief@example.com", password: "x" });
    const [chief] = await rows<Person>(kit.db, sql`select id, username, email from users`);
    expect(chief === undefined ? "" : await told(kit, chief)).toBe("SUCCESS");
    expect(await imposeOverdue(kit, AbortSignal.timeout(5_000))).toBe(0);
    expect(await codeOf(api.put(BAN, { user: { email: "chief@example.com" } }))).toBe("restriction.staff_target");
    expect(await statusOf(kit, chief?.id ?? "")).toBe("active");
  });

  it("does not fail anybody's registration whatever their address is", async () => {
    await using kit = await sessionKit();
    const odd = String.raw`"a\1\\b"@example.com`;
    await people(kit.db, { ann: {} });
    await affected(kit.db, sql`update users set email = ${odd}`);
    expect(await row(kit.db, sql`select encode(address_hash(email), 'hex') as hash from users`)).toEqual({ hash: hashOf(odd) });
  });
});
