/** The standing of an account: what SQL says must be what this small model says, at every moment, with no worker running. */

import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { affected, row, sql } from "#src/db/sql";
import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { setStatus } from "#src/features/accounts/public";
import { selectSessionState } from "#src/features/sessions/public";
import { CAPABILITIES, type Capability } from "#src/kernel/actor";
import { people } from "../../../test/kit/people.ts";
import { sessionKit } from "../../../test/kit/sessions.ts";
import { until } from "../../../test/kit/until.ts";
import { impose } from "./impose.ts";

/** A restriction on a line of whole hours; `null` is never. */
interface Span {
  readonly kind: "limit" | "suspend" | "ban";
  readonly capabilities: readonly Capability[];
  readonly start: number;
  readonly end: number | null;
  readonly lifted: number | null;
}

interface Modelled {
  readonly status: string;
  readonly limited: readonly string[];
  readonly validUntil: number | null;
  readonly sessionsValidFrom: number | null;
}

const inForceAt = (spans: readonly Span[], hour: number): Span[] =>
  spans.filter((span) => span.lifted === null && span.start <= hour && (span.end === null || span.end > hour));

/** Written as the words say it, not as the SQL does it: the next change is looked for hour by hour. */
function model(spans: readonly Span[], hour: number): Modelled {
  const inForce = inForceAt(spans, hour);
  const kinds = new Set(inForce.map((span) => span.kind));
  const begunCuts = spans.filter(
    (span) => span.kind !== "limit" && span.start <= hour && (span.lifted === null || span.lifted >= span.start),
  );
  return {
    status: kinds.has("ban") ? "banned" : kinds.has("suspend") ? "suspended" : "active",
    limited: [...new Set(inForce.flatMap((span) => span.capabilities))].sort(),
    validUntil: nextChange(spans, hour),
    sessionsValidFrom: begunCuts.length === 0 ? null : Math.max(...begunCuts.map((span) => span.start)),
  };
}

function nextChange(spans: readonly Span[], from: number): number | null {
  const before = new Set(inForceAt(spans, from));
  for (let hour = from + 1; hour <= LAST + LONGEST; hour += 1) {
    const now = inForceAt(spans, hour);
    if (now.length !== before.size || now.some((span) => !before.has(span))) return hour;
  }
  return null;
}

const LAST = 24;
const LONGEST = 10;

const span: fc.Arbitrary<Span> = fc
  .record({
    kind: fc.constantFrom("limit", "suspend", "ban"),
    capabilities: fc.uniqueArray(fc.constantFrom(...CAPABILITIES), { minLength: 1, maxLength: 3 }),
    start: fc.integer({ min: 0, max: LAST - 1 }),
    length: fc.option(fc.integer({ min: 1, max: LONGEST })),
    lifted: fc.option(fc.integer({ min: 0, max: LAST })),
  })
  .map(({ kind, capabilities, start, length, lifted }) => ({
    kind,
    capabilities: kind === "limit" ? capabilities : [],
    start,
    end: length === null ? (kind === "suspend" ? start + 3 : null) : start + length,
    lifted,
  }));

/** Lays the line so that `hour` was half an hour ago: whole hours then compare as in the model. */
async function lay(db: Db, userId: string, spans: readonly Span[], hour: number): Promise<void> {
  await affected(db, sql`delete from restrictions where user_id = ${userId}::uuid`);
  for (const one of spans) {
    await affected(
      db,
      sql`insert into restrictions (id, user_id, kind, capabilities, reason, reason_policy, starts_at, expires_at, lifted_at, lift_note)
          select gen_random_uuid(), ${userId}::uuid, ${one.kind}, ${one.capabilities}::text[], 'other', 'test',
            zero + make_interval(hours => ${one.start}::int), zero + make_interval(hours => ${one.end}::int),
            zero + make_interval(hours => ${one.lifted}::int), case when ${one.lifted}::int is not null then 'x' end
          from (select now() - interval '30 minutes' - make_interval(hours => ${hour}::int) as zero) line`,
    );
  }
}

interface Found {
  readonly status: string;
  readonly limited: string[];
  /** Hours from the moment that `hour` stands for. */
  readonly validUntil: number | null;
  readonly sessionsValidFrom: number | null;
}

function relativeTo(found: Found | undefined, hour: number): Modelled {
  if (found === undefined) throw new Error("no standing");
  const back = (hours: number | null): number | null => (hours === null ? null : Math.round(hours + 0.5) + hour);
  return {
    status: found.status,
    limited: found.limited,
    validUntil: back(found.validUntil),
    sessionsValidFrom: back(found.sessionsValidFrom),
  };
}

async function byFunction(db: Db, userId: string, hour: number): Promise<Modelled> {
  const found = await row<Found>(
    db,
    sql`select status, limited,
          (extract(epoch from valid_until - now()) / 3600)::float8 as "validUntil",
          case when sessions_valid_from > '-infinity' then (extract(epoch from sessions_valid_from - now()) / 3600)::float8 end as "sessionsValidFrom"
        from user_standing(${userId}::uuid)`,
  );
  return relativeTo(found, hour);
}

async function byView(db: Db, userId: string, hour: number): Promise<Modelled> {
  const found = await row<Found>(
    db,
    sql`select status, limited,
          (extract(epoch from valid_until - now()) / 3600)::float8 as "validUntil",
          case when sessions_valid_from > '-infinity' then (extract(epoch from sessions_valid_from - now()) / 3600)::float8 end as "sessionsValidFrom"
        from user_standings where user_id = ${userId}::uuid`,
  );
  return relativeTo(found, hour);
}

describe("user_standing", () => {
  it("says what the model says, whatever restrictions there are: the strictest wins, until exactly the next change", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    await fc.assert(
      fc.asyncProperty(fc.array(span, { maxLength: 6 }), fc.integer({ min: 0, max: LAST }), async (spans, hour) => {
        // What was lifted was lifted in the past.
        const known = spans.map((one) => ({ ...one, lifted: one.lifted !== null && one.lifted > hour ? null : one.lifted }));
        await lay(kit.db, ann.id, known, hour);
        expect(await byFunction(kit.db, ann.id, hour)).toEqual(model(known, hour));
      }),
      { numRuns: 300 },
    );
  });

  it("is what the view says at any later moment, though nobody writes after the last decision", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    await fc.assert(
      fc.asyncProperty(
        fc.array(span, { maxLength: 6 }),
        fc.integer({ min: 0, max: LAST }),
        fc.integer({ min: 0, max: LAST }),
        async (spans, decided, later) => {
          const known = spans.map((one) => ({ ...one, lifted: one.lifted !== null && one.lifted > decided ? null : one.lifted }));
          await affected(kit.db, sql`update users set sessions_valid_from = '-infinity' where id = ${ann.id}::uuid`);
          await lay(kit.db, ann.id, known, decided);
          await inTx(kit.db, (tx) => setStatus(tx, ann.id));
          await letPass(kit.db, ann.id, later);
          expect(await byView(kit.db, ann.id, decided + later)).toEqual(model(known, decided + later));
        },
      ),
      { numRuns: 200 },
    );
  });
});

/** Moves everything an account has on the line back, as so many hours would. */
async function letPass(db: Db, userId: string, hours: number): Promise<void> {
  await affected(
    db,
    sql`update restrictions set
          starts_at = starts_at - make_interval(hours => ${hours}::int),
          expires_at = expires_at - make_interval(hours => ${hours}::int),
          lifted_at = lifted_at - make_interval(hours => ${hours}::int)
        where user_id = ${userId}::uuid`,
  );
  await affected(
    db,
    sql`update users set
          status_valid_until = status_valid_until - make_interval(hours => ${hours}::int),
          sessions_valid_from = sessions_valid_from - make_interval(hours => ${hours}::int)
        where id = ${userId}::uuid`,
  );
}

interface Probe {
  readonly status: string;
  readonly stored: string;
  readonly expected: string;
}

describe("with no worker running", () => {
  it("a suspension ends by itself, at the database's time", async () => {
    await using kit = await sessionKit();
    const { mod, ann } = await people(kit.db, { mod: { roles: ["user", "moderator"] }, ann: {} });
    const { session } = await kit.begin(ann);
    const expiresAt = new Date(kit.clock.now().getTime() + 300);
    await impose(kit, {
      actorId: mod.id,
      subjectId: ann.id,
      kind: "suspend",
      reason: "spam",
      message: undefined,
      capabilities: [],
      startsAt: undefined,
      expiresAt,
    });
    const seen = new Set<string>();
    await until(async () => {
      const probe = await row<Probe>(
        kit.db,
        sql`select s.status, u.status as stored,
              case when statement_timestamp() < ${expiresAt}::timestamptz then 'suspended' else 'active' end as expected
            from user_standings s join users u on u.id = s.user_id where s.user_id = ${ann.id}::uuid`,
      );
      if (probe === undefined || probe.status !== probe.expected || probe.stored !== "suspended")
        seen.add(`wrong: ${JSON.stringify(probe)}`);
      seen.add(probe?.status ?? "none");
      return probe?.status === "active";
    });
    expect([...seen]).toEqual(["suspended", "active"]);
    expect((await selectSessionState(kit.db, session.id))?.endedBecause).toBe("account.restricted");
  });

  it("a planned suspension begins by itself and ends the sessions from before", async () => {
    await using kit = await sessionKit();
    const { mod, ann } = await people(kit.db, { mod: { roles: ["user", "moderator"] }, ann: {} });
    const { session } = await kit.begin(ann);
    const startsAt = new Date(kit.clock.now().getTime() + 300);
    await impose(kit, {
      actorId: mod.id,
      subjectId: ann.id,
      kind: "suspend",
      reason: "spam",
      message: undefined,
      capabilities: [],
      startsAt,
      expiresAt: new Date(startsAt.getTime() + 3_600_000),
    });
    expect(await selectSessionState(kit.db, session.id)).toMatchObject({ status: "active", endedBecause: null });
    const begun = await until(async () => {
      const state = await selectSessionState(kit.db, session.id);
      return state?.status === "suspended" ? state : undefined;
    });
    expect(begun.endedBecause).toBe("account.restricted");
    expect(begun.notice).toMatchObject({ kind: "suspend", reason: "spam" });
  });
});
