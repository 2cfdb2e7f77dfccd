/** Declarations that come at once, with each other and with moderators: exactly one wins, nothing is lost, no deadlock. */

import { describe, expect, it } from "@jest/globals";
import pg from "pg";
import { row, rows, sql } from "#src/db/sql";
import type { Db } from "#src/db/pool";
import type { Role } from "#src/kernel/actor";
import { Problem } from "#src/kernel/problem";
import { counted } from "../../../test/kit/deadlocks.ts";
import { Declarations } from "../../../test/kit/declarations.ts";
import { people } from "../../../test/kit/people.ts";
import { sessionKit } from "../../../test/kit/sessions.ts";
import { until } from "../../../test/kit/until.ts";
import { announceDue } from "./announce.ts";
import { impose } from "./impose.ts";
import { lift } from "./lift.ts";

interface Outcome {
  readonly outcome: string;
}

/** What became of each: the outcome, or the code of the refusal. */
async function outcomes(calls: readonly Promise<Outcome>[]): Promise<string[]> {
  const ended = await Promise.allSettled(calls);
  return ended
    .map((one) => {
      if (one.status === "fulfilled") return one.value.outcome;
      return one.reason instanceof Problem ? one.reason.code : String(one.reason);
    })
    .sort();
}

async function liveRestrictions(db: Db): Promise<number> {
  return (await row<{ n: number }>(db, sql`select count(*) as n from restrictions where lifted_at is null`))?.n ?? -1;
}

describe("at once", () => {
  it("twenty times the same wish: one imposes, the others see it", async () => {
    const deadlocks = await counted(async (deps) => {
      const { ann } = await people(deps.db, { ann: {} });
      const api = new Declarations(deps);
      const told = await outcomes(Array.from({ length: 20 }, () => api.put("a:b:c", { user: { id: ann.id } })));
      expect(told).toEqual(["imposed", ...Array.from({ length: 19 }, () => "unchanged")]);
      expect(await rows(deps.db, sql`select id from restrictions`)).toHaveLength(1);
      expect(await rows(deps.db, sql`select id from audit_log`)).toHaveLength(1);
    });
    expect(deadlocks).toBe(0);
  });

  it("two declarations about one account, or about one address: exactly one wins", async () => {
    const deadlocks = await counted(async (deps) => {
      const names = Array.from({ length: 12 }, (_, index) => `user${index}`);
      const made = await people(deps.db, Object.fromEntries(names.map((name) => [name, {}])));
      const api = new Declarations(deps);
      for (const name of names) {
        const forms = [{ id: made[name]?.id ?? "" }, { username: name }, { email: `${name}@example.com` }];
        const told = await outcomes(forms.map((user, index) => api.put(`a:${index}:${name}`, { user, uid: `${name}-${index}` })));
        expect(told).toEqual(["imposed", "restriction.conflict", "restriction.conflict"]);
        const waiting = [0, 1, 2].map((index) =>
          api.put(`w:${index}:${name}`, { user: { email: `no-${name}@example.com` }, uid: `w-${name}-${index}` }),
        );
        expect(await outcomes(waiting)).toEqual(["restriction.conflict", "restriction.conflict", "waiting"]);
      }
      expect(await liveRestrictions(deps.db)).toBe(12);
    });
    expect(deadlocks).toBe(0);
  });

  it("a wish and its end, in either order: in the end nothing holds", async () => {
    const deadlocks = await counted(async (deps) => {
      const { ann } = await people(deps.db, { ann: {} });
      const api = new Declarations(deps);
      for (let round = 0; round < 10; round += 1) {
        const uid = `uid-${round}`;
        const createdAt = new Date(Date.UTC(2026, 10, 20, 10, round)).toISOString();
        const calls = [api.put("a:b:c", { user: { id: ann.id }, uid, createdAt }), api.end("a:b:c", { uid, createdAt })];
        const told = await outcomes(round % 2 === 0 ? calls : calls.reverse());
        expect([
          ["imposed", "lifted"],
          ["lifted", "restriction.superseded"],
        ]).toContainEqual(told);
        expect(await liveRestrictions(deps.db)).toBe(0);
      }
    });
    expect(deadlocks).toBe(0);
  });

  it("takeovers across two accounts, moderators, and the sweep: every account is what its restrictions say", async () => {
    const deadlocks = await counted(async (deps) => {
      const { mod, ann, bob } = await people(deps.db, { mod: { roles: ["user", "moderator"] as Role[] }, ann: {}, bob: {} });
      const api = new Declarations(deps);
      const at = (minute: number): string => new Date(Date.UTC(2026, 10, 20, 10, minute)).toISOString();
      const moderate = async (subjectId: string): Promise<Outcome> => {
        const decision = { actorId: mod.id, subjectId, kind: "ban", reason: "spam", message: undefined, capabilities: [] } as const;
        const { id } = await impose(deps, { ...decision, startsAt: undefined, expiresAt: undefined });
        await lift(deps, { actorId: mod.id, restrictionId: id, note: "x" });
        return { outcome: "moderated" };
      };
      const rounds = Array.from({ length: 12 }, (_, round) => {
        // Each name is made again and again, about the one and the other in turn, and the two names cross.
        const [one, other] = round % 2 === 0 ? [ann, bob] : [bob, ann];
        const more = { uid: `uid-${round}`, createdAt: at(round) };
        return [
          api.put("a:b:one", { ...more, user: { id: one.id } }),
          api.put("a:b:two", { ...more, user: { id: other.id } }),
          moderate(one.id),
          announceDue(deps, AbortSignal.timeout(20_000)).then(() => ({ outcome: "announced" })),
          ...(round % 3 === 0 ? [api.end("a:b:one", more)] : []),
        ];
      });
      const allowed = [
        "imposed",
        "replaced",
        "unchanged",
        "lifted",
        "moderated",
        "announced",
        "restriction.conflict",
        "restriction.superseded",
      ];
      for (const told of await outcomes(rounds.flat())) expect(allowed).toContain(told);
      for (const { id } of [ann, bob]) {
        const stored = await row(deps.db, sql`select status, status_valid_until as valid_until from users where id = ${id}::uuid`);
        expect(stored).toEqual(await row(deps.db, sql`select status, valid_until from user_standing(${id}::uuid)`));
      }
      const declared = await rows<{ user_id: string; restriction_id: string }>(
        deps.db,
        sql`select user_id, restriction_id from declared_restrictions where ended_at is null`,
      );
      expect(new Set(declared.map(({ user_id }) => user_id)).size).toBe(declared.length);
      // What stands is what is declared, and nothing else.
      expect(await rows(deps.db, sql`select id from restrictions where lifted_at is null order by id`)).toEqual(
        declared.map(({ restriction_id }) => ({ id: restriction_id })).sort((a, b) => (a.id < b.id ? -1 : 1)),
      );
    });
    expect(deadlocks).toBe(0);
  });

  it("a moderator's lift and a repeat: what is lifted is repaired by the next repeat at the latest", async () => {
    const deadlocks = await counted(async (deps) => {
      const { mod, ann } = await people(deps.db, { mod: { roles: ["user", "moderator"] as Role[] }, ann: {} });
      const api = new Declarations(deps);
      for (let round = 0; round < 8; round += 1) {
        const { restriction } = await api.put("a:b:c", { user: { id: ann.id } });
        const lifted = lift(deps, { actorId: mod.id, restrictionId: restriction.restrictionId ?? "", note: "x" });
        await Promise.all([lifted, api.put("a:b:c", { user: { id: ann.id } }), api.put("a:b:c", { user: { id: ann.id } })]);
        await api.put("a:b:c", { user: { id: ann.id } });
        expect(await liveRestrictions(deps.db)).toBe(1);
      }
    });
    expect(deadlocks).toBe(0);
  });

  it("a lift that a wish had to wait for is seen by it", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const api = new Declarations(kit);
    await api.put("a:b:c", { user: { id: ann.id } });
    const other = new pg.Client({ connectionString: kit.database.adminUrl });
    await other.connect();
    try {
      await other.query("begin");
      await other.query("select id from users where id = $1 for no key update", [ann.id]);
      await other.query("update restrictions set lifted_at = now(), lift_note = 'x'");
      // Wishes the same, so whoever trusts the first look has nothing to do.
      const waiting = api.put("a:b:c", { user: { id: ann.id }, generation: 2 });
      waiting.catch(() => {});
      const blocked = sql`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
      await until(async () => (await row(kit.db, blocked)) !== undefined, { what: "the wish to wait for the lift" });
      await other.query("commit");
      expect((await waiting).outcome).toBe("repaired");
    } finally {
      await other.end();
    }
  });
});
