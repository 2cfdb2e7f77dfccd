import { describe, expect, it } from "@jest/globals";
import { userRestored } from "#src/contract/event-types";
import type { Db } from "#src/db/pool";
import { row, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { appendEvent } from "#src/events/append";
import { lockFacts } from "#src/features/accounts/public";
import { systemClock } from "#src/kernel/clock";
import { Problem } from "#src/kernel/problem";
import { counted } from "../../../test/kit/deadlocks.ts";
import { people } from "../../../test/kit/people.ts";
import { announceDue } from "./announce.ts";
import { impose, type Imposition } from "./impose.ts";
import { lift } from "./lift.ts";

function ban(actorId: string, subjectId: string, more: Partial<Imposition> = {}): Imposition {
  return {
    actorId,
    subjectId,
    kind: "ban",
    reason: "spam",
    message: undefined,
    capabilities: [],
    startsAt: undefined,
    expiresAt: undefined,
    ...more,
  };
}

async function codes(promises: readonly Promise<unknown>[]): Promise<string[]> {
  const ended = await Promise.allSettled(promises);
  return ended.map((one) => (one.status === "fulfilled" ? "ok" : one.reason instanceof Problem ? one.reason.code : String(one.reason)));
}

async function checkConsistent(db: Db, userId: string): Promise<void> {
  const stored = await row(db, sql`select status, limited, status_valid_until as valid_until from users where id = ${userId}::uuid`);
  expect(stored).toEqual(await row(db, sql`select status, limited, valid_until from user_standing(${userId}::uuid)`));
  const versions = await rows<{ topic: string; numbers: number[] }>(
    db,
    sql`select topic, array_agg(user_version order by occurred_at, user_version)::int[] as numbers from outbox where subject = ${userId}::uuid group by topic`,
  );
  for (const { numbers } of versions) expect([...numbers].sort((a, b) => a - b)).toEqual(numbers.map((_, index) => index + 1));
}

describe("many decisions at once", () => {
  it("two moderators who ban and lift one user 50 times: every one is done, and the account is what its restrictions say", async () => {
    const deadlocks = await counted(async (deps) => {
      const { mia, max, ann } = await people(deps.db, {
        mia: { roles: ["user", "moderator"] },
        max: { roles: ["user", "moderator"] },
        ann: {},
      });
      const rounds = Array.from({ length: 50 }, async (_, round) => {
        const [first, second] = round % 2 === 0 ? [mia, max] : [max, mia];
        const restriction = await impose(deps, ban(first.id, ann.id));
        // Every fifth stays, so that the end is not only `active`.
        if (round % 5 !== 0) await lift(deps, { actorId: second.id, restrictionId: restriction.id, note: "x" });
      });
      expect(new Set(await codes(rounds))).toEqual(new Set(["ok"]));
      await checkConsistent(deps.db, ann.id);
      expect(await row(deps.db, sql`select status from users where id = ${ann.id}::uuid`)).toEqual({ status: "banned" });
      const made = await row<{ restrictions: number; lifted: number; audited: number; events: number }>(
        deps.db,
        sql`select (select count(*) from restrictions) as restrictions, (select count(lifted_at) from restrictions) as lifted,
              (select count(*) from audit_log) as audited, (select count(*) from outbox where topic = 'users.v1') as events`,
      );
      expect(made).toEqual({ restrictions: 50, lifted: 40, audited: 90, events: 90 });
    });
    expect(deadlocks).toBe(0);
  });

  it("one restriction lifted by ten at once is lifted by one", async () => {
    await counted(async (deps) => {
      const { mia, ann } = await people(deps.db, { mia: { roles: ["user", "moderator"] }, ann: {} });
      const restriction = await impose(deps, ban(mia.id, ann.id));
      const lifts = Array.from({ length: 10 }, () => lift(deps, { actorId: mia.id, restrictionId: restriction.id, note: "x" }));
      expect((await codes(lifts)).sort()).toEqual(["ok", ...Array.from({ length: 9 }, () => "restriction.not_active")]);
      expect(await row(deps.db, sql`select count(*) as n from outbox where type = 'videamozi.user.restored.v1'`)).toEqual({ n: 1 });
    });
  });

  it("a decision beside other changes of the same account: no deadlock, for all take the version row first", async () => {
    const deadlocks = await counted(async (deps) => {
      const { mia, ann } = await people(deps.db, { mia: { roles: ["user", "moderator"] }, ann: {} });
      // What every other change of an account does: its event first, then its row.
      const change = (): Promise<unknown> =>
        inTx(deps.db, async (tx) => {
          await appendEvent(tx, userRestored, { subject: ann.id, data: { userId: ann.id, kind: "limit", status: "active" } });
          await lockFacts(tx, ann.id);
        });
      const all = Array.from({ length: 30 }, () => [change(), impose(deps, ban(mia.id, ann.id))]).flat();
      expect(new Set(await codes(all))).toEqual(new Set(["ok"]));
      await checkConsistent(deps.db, ann.id);
    });
    expect(deadlocks).toBe(0);
  });

  it("admins, moderators and the sweep in each other's way: no deadlock, whoever is in whose decision", async () => {
    const deadlocks = await counted(async (deps) => {
      const { chief, mia, max, ann, bob } = await people(deps.db, {
        chief: { roles: ["user", "admin"] },
        mia: { roles: ["user", "moderator"] },
        max: { roles: ["user", "moderator"] },
        ann: {},
        bob: {},
      });
      const limit = { kind: "limit", capabilities: ["post"] } as const;
      const soon = (): Partial<Imposition> => {
        const startsAt = new Date(systemClock.now().getTime() + 20);
        return { kind: "suspend", startsAt, expiresAt: new Date(startsAt.getTime() + 10_000) };
      };
      const refused = Array.from({ length: 15 }, () => [impose(deps, ban(mia.id, max.id)), impose(deps, ban(max.id, mia.id))]).flat();
      const decisions = Array.from({ length: 15 }, () => [
        impose(deps, ban(mia.id, ann.id)),
        impose(deps, ban(max.id, bob.id, soon())),
        impose(deps, ban(chief.id, mia.id, limit)),
        impose(deps, ban(chief.id, max.id, limit)),
        impose(deps, ban(mia.id, bob.id, soon())),
        announceDue(deps, new AbortController().signal),
      ]).flat();
      const [done, turnedAway] = await Promise.all([codes(decisions), codes(refused)]);
      expect(new Set(done)).toEqual(new Set(["ok"]));
      expect(new Set(turnedAway)).toEqual(new Set(["role.insufficient"]));
      await announceDue(deps, new AbortController().signal);
      for (const person of [mia, max, ann]) await checkConsistent(deps.db, person.id);
    });
    expect(deadlocks).toBe(0);
  });
});
