/** Declarations against a small model: whatever comes in whatever order, the fence and the standing are what the words say. */

import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { affected, row, rows, sql } from "#src/db/sql";
import type { Role } from "#src/kernel/actor";
import { Problem } from "#src/kernel/problem";
import { Declarations } from "../../../test/kit/declarations.ts";
import { people } from "../../../test/kit/people.ts";
import { sessionKit, type SessionKit } from "../../../test/kit/sessions.ts";
import { lift } from "./lift.ts";

/** What can be wished. `passing` lasts an hour and a half from when it was first in force. */
const CONTENTS = {
  lasting: { kind: "ban" },
  passing: { kind: "ban", durationSeconds: 5400 },
  limit: { kind: "limit", capabilities: ["post"] },
} as const;

type Content = keyof typeof CONTENTS;

interface Put {
  readonly does: "put";
  readonly name: number;
  readonly incarnation: number;
  readonly generation: number;
  readonly content: Content;
  readonly user: number;
}
interface End {
  readonly does: "end";
  readonly name: number;
  readonly incarnation: number;
  readonly generation: number;
  readonly policy: "lift" | "keep";
}
type Call = Put | End;
type Step =
  | Call
  | { readonly does: "replay"; readonly which: number }
  | { readonly does: "lift"; readonly user: number }
  | { readonly does: "wait" };

const index = fc.integer({ min: 0, max: 1 });
const fence = { name: index, incarnation: fc.integer({ min: 1, max: 3 }), generation: fc.integer({ min: 1, max: 3 }) };
const put: fc.Arbitrary<Put> = fc.record({
  does: fc.constant("put" as const),
  ...fence,
  content: fc.constantFrom<Content>("lasting", "passing", "limit"),
  user: index,
});
const end: fc.Arbitrary<End> = fc.record({ does: fc.constant("end" as const), ...fence, policy: fc.constantFrom("lift", "keep") });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: put },
  { weight: 2, arbitrary: end },
  { weight: 3, arbitrary: fc.record({ does: fc.constant("replay" as const), which: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("lift" as const), user: index }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("wait" as const) }) },
);

interface Restricted {
  readonly user: number;
  readonly content: Content;
  readonly endsAt: number;
  lifted: boolean;
}
interface Incarnation {
  readonly number: number;
  readonly user: number | undefined;
  generation: number;
  content: Content | undefined;
  restriction: Restricted | undefined;
  firstInForce: number;
  ended: "lifted" | "kept" | undefined;
}

/** Written as the contract says it. Time is in hours. */
class Model {
  hour = 0;
  readonly restrictions: Restricted[] = [];
  readonly names: Incarnation[][] = [[], []];

  stands(one: Restricted | undefined): boolean {
    return one !== undefined && !one.lifted && one.endsAt > this.hour;
  }

  live(name: number): Incarnation | undefined {
    return this.names[name]?.find((one) => one.ended === undefined);
  }

  stateOf({ ended, restriction }: Incarnation): string {
    if (ended !== undefined) return "gone";
    if (restriction === undefined || restriction.endsAt <= this.hour) return "ended";
    return restriction.lifted ? "lifted" : "active";
  }

  put(call: Put): string {
    const known = this.names[call.name] ?? [];
    const own = known.find((one) => one.number === call.incarnation);
    const refused = this.#fenced(known, own, call) ?? this.#contested(own, call);
    if (refused !== undefined) return refused;
    if (own?.content === call.content && this.stateOf(own) !== "lifted") {
      own.generation = call.generation;
      return "unchanged";
    }
    return this.#impose(known, own, call);
  }

  #fenced(
    known: readonly Incarnation[],
    own: Incarnation | undefined,
    { incarnation, generation, content, user }: Put,
  ): string | undefined {
    if (own?.ended !== undefined || known.some((one) => one.number > incarnation)) return "restriction.superseded";
    if (own === undefined || generation > own.generation) return own === undefined || own.user === user ? undefined : "input.invalid";
    const isSame = own.generation === generation && own.content === content && own.user === user;
    return isSame ? undefined : "restriction.superseded";
  }

  #contested(own: Incarnation | undefined, { name, content, user }: Put): string | undefined {
    // What holds already is not asked about.
    if (own?.content === content && this.stateOf(own) !== "lifted") return undefined;
    const rival = this.live(1 - name);
    return rival?.user === user && this.stateOf(rival) !== "ended" ? "restriction.conflict" : undefined;
  }

  #impose(known: Incarnation[], own: Incarnation | undefined, { name, incarnation, generation, content, user }: Put): string {
    const firstInForce = own?.firstInForce ?? this.hour;
    const endsAt = content === "passing" ? firstInForce + 1.5 : Number.POSITIVE_INFINITY;
    if (endsAt <= this.hour) return "input.invalid";
    const outcome = own === undefined ? this.#takeOver(this.live(name), user) : this.#follow(own);
    const restriction = { user, content, endsAt, lifted: false };
    this.restrictions.push(restriction);
    const made = { number: incarnation, user, generation, content, restriction, firstInForce, ended: undefined };
    if (own === undefined) known.push(made);
    else Object.assign(own, made);
    return outcome;
  }

  #follow(own: Incarnation): string {
    if (this.stateOf(own) === "lifted") return "repaired";
    return this.#takeBack(own) ? "replaced" : "imposed";
  }

  #takeOver(older: Incarnation | undefined, user: number): string {
    if (older === undefined) return "imposed";
    older.ended = "lifted";
    return this.#takeBack(older) && older.user === user ? "replaced" : "imposed";
  }

  /** Says whether there was anything to take back. */
  #takeBack(former: Incarnation | undefined): boolean {
    const restriction = former?.restriction;
    if (restriction === undefined || !this.stands(restriction)) return false;
    restriction.lifted = true;
    return true;
  }

  end({ name, incarnation, generation, policy }: End): string {
    const known = this.names[name] ?? [];
    const own = known.find((one) => one.number === incarnation);
    if (own?.ended !== undefined) return own.ended;
    if (own !== undefined && generation < own.generation) return "restriction.superseded";
    const ended = policy === "lift" ? "lifted" : "kept";
    for (const one of known.filter((each) => each.ended === undefined && each.number <= incarnation)) {
      one.ended = ended;
      if (policy === "lift") this.#takeBack(one);
    }
    const tombstone = { number: incarnation, user: undefined, content: undefined, restriction: undefined, firstInForce: 0 };
    if (own === undefined) known.push({ ...tombstone, generation, ended });
    return ended;
  }

  standing(user: number): { readonly status: string; readonly limited: readonly string[] } {
    const standing = this.restrictions.filter((one) => one.user === user && this.stands(one));
    return {
      status: standing.some(({ content }) => content !== "limit") ? "banned" : "active",
      limited: standing.some(({ content }) => content === "limit") ? ["post"] : [],
    };
  }
}

/** What has come up in all runs together. */
const seen = new Set<string>();

interface Who {
  readonly run: string;
  readonly mod: string;
  readonly users: readonly string[];
}

/** One run: two accounts and two names of its own, in a database that runs share. */
class World {
  readonly model = new Model();
  readonly calls: Call[] = [];

  readonly kit: SessionKit;
  readonly api: Declarations;
  readonly who: Who;

  constructor(kit: SessionKit, who: Who) {
    this.kit = kit;
    this.api = new Declarations(kit);
    this.who = who;
  }

  nameOf(name: number): string {
    return `${this.who.run}:${name}`;
  }

  userId(user: number): string {
    return this.who.users[user] ?? "";
  }

  async ask(call: Call): Promise<string> {
    const { name, incarnation, generation } = call;
    const fenced = { uid: `uid-${incarnation}`, createdAt: new Date(Date.UTC(2026, 0, 1, 0, incarnation)).toISOString(), generation };
    const answer =
      call.does === "put"
        ? this.api.put(this.nameOf(name), { ...fenced, user: { id: this.userId(call.user) }, ...CONTENTS[call.content] } as never)
        : this.api.end(this.nameOf(name), { ...fenced, policy: call.policy });
    return await answer.then(
      ({ outcome }) => outcome,
      (error: unknown) => (error instanceof Problem ? error.code : String(error)),
    );
  }

  async call(call: Call): Promise<string> {
    const expected = call.does === "put" ? this.model.put(call) : this.model.end(call);
    const told = await this.ask(call);
    expect({ call, told }).toEqual({ call, told: expected });
    seen.add(`${call.does} ${told}`);
    return told;
  }

  async take(one: Step): Promise<void> {
    switch (one.does) {
      case "put":
      case "end":
        if (!(await this.call(one)).includes(".")) this.calls.push(one);
        break;
      case "replay":
        await this.replay(this.calls[one.which % Math.max(1, this.calls.length)]);
        break;
      case "lift":
        await this.lift(one.user);
        break;
      case "wait":
        await this.wait();
        break;
    }
    await this.check();
  }

  /** What was done once does nothing when it comes again, except to repair. */
  async replay(call: Call | undefined): Promise<void> {
    if (call === undefined) return;
    const before = await this.everything();
    const told = await this.call(call);
    if (told !== "repaired") expect({ call, after: await this.everything() }).toEqual({ call, after: before });
  }

  async lift(user: number): Promise<void> {
    const victim = this.model.restrictions.findLast((one) => one.user === user && this.model.stands(one));
    if (victim === undefined) return;
    const [found] = await rows<{ id: string }>(
      this.kit.db,
      sql`select id from restrictions where user_id = ${this.userId(user)}::uuid and lifted_at is null
            and (expires_at is null or expires_at > statement_timestamp()) order by id desc limit 1`,
    );
    victim.lifted = true;
    await lift(this.kit, { actorId: this.who.mod, restrictionId: found?.id ?? "", note: "x" });
  }

  /** An hour passes: everything lies an hour further back. */
  async wait(): Promise<void> {
    this.model.hour += 1;
    const { users, run } = this.who;
    await affected(
      this.kit.db,
      sql`update restrictions set starts_at = starts_at - interval '1 hour', expires_at = expires_at - interval '1 hour', lifted_at = lifted_at - interval '1 hour'
          where user_id = any (${users}::uuid[])`,
    );
    await affected(
      this.kit.db,
      sql`update users set status_valid_until = status_valid_until - interval '1 hour' where id = any (${users}::uuid[])`,
    );
    await affected(
      this.kit.db,
      sql`update declared_restrictions set first_enforced_at = first_enforced_at - interval '1 hour' where external_id like ${`${run}:%`}`,
    );
  }

  async check(): Promise<void> {
    for (const user of [0, 1]) {
      const found = await row(this.kit.db, sql`select status, limited from user_standings where user_id = ${this.userId(user)}::uuid`);
      expect(found).toEqual(this.model.standing(user));
    }
    const { data } = await this.api.list({ after: `${this.who.run}:` });
    const listed = data
      .filter(({ externalId }) => externalId.startsWith(`${this.who.run}:`))
      .map(({ externalId, uid, generation, state, userId }) => ({ externalId, uid, generation, state, userId }));
    const live = [0, 1].flatMap((name) => {
      const one = this.model.live(name);
      if (one === undefined) return [];
      const { number, generation, user = 0 } = one;
      return [
        { externalId: this.nameOf(name), uid: `uid-${number}`, generation, state: this.model.stateOf(one), userId: this.userId(user) },
      ];
    });
    expect(listed).toEqual(live);
    const restricting = listed.filter(({ state }) => state !== "ended").map(({ userId }) => userId);
    expect(new Set(restricting).size).toBe(restricting.length);
  }

  async everything(): Promise<unknown> {
    const { users, run } = this.who;
    return await row(
      this.kit.db,
      sql`select (select jsonb_agg(d order by external_id, uid) from declared_restrictions d where external_id like ${`${run}:%`}) as declared,
            (select jsonb_agg(r order by id) from restrictions r where user_id = any (${users}::uuid[])) as restrictions,
            (select count(*) from outbox where subject = any (${users}::uuid[])) as events,
            (select count(*) from audit_log where subject_id = any (${users}::uuid[])) as audited,
            (select count(*) from revocations where subject = any (${users}::uuid[])) as revocations`,
    );
  }
}

async function newWorld(kit: SessionKit, run: string): Promise<World> {
  const { mod, ann, bob } = await people(kit.db, {
    mod: { username: `mod${run}`, roles: ["user", "moderator"] as Role[] },
    ann: { username: `ann${run}` },
    bob: { username: `bob${run}` },
  });
  return new World(kit, { run, mod: mod.id, users: [ann.id, bob.id] });
}

const first = { name: 0, incarnation: 1, user: 0, does: "put" } as const;
const last = { name: 0, incarnation: 1, does: "end" } as const;

/** Whatever can be told, once. */
const tour: Step[] = [
  { ...first, generation: 1, content: "lasting" },
  { ...first, generation: 2, content: "limit" },
  { does: "lift", user: 0 },
  { does: "replay", which: 1 },
  { does: "replay", which: 1 },
  { ...first, name: 1, generation: 1, content: "lasting" },
  { ...first, generation: 1, content: "lasting" },
  { ...first, generation: 3, content: "lasting", user: 1 },
  { ...last, generation: 1, policy: "lift" },
  { ...last, generation: 3, policy: "keep" },
  { ...last, incarnation: 2, generation: 1, policy: "lift" },
];

describe("any sequence of wishes, ends, repeats, lifts and hours", () => {
  it("ends as the model says", async () => {
    await using kit = await sessionKit();
    let runs = 0;
    // Not by interruptAfterTimeLimit: that leaves a run going on behind the end of the test.
    const enoughAfter = performance.now() + 12_000;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 20 }), async (steps) => {
        if (performance.now() > enoughAfter) return;
        const world = await newWorld(kit, `r${(runs += 1)}`);
        for (const one of steps) await world.take(one);
      }),
      { numRuns: 25, examples: [[tour]] },
    );
    const puts = ["imposed", "replaced", "repaired", "unchanged", "restriction.superseded", "restriction.conflict", "input.invalid"];
    const ends = ["lifted", "kept", "restriction.superseded"];
    expect([...seen]).toEqual(expect.arrayContaining([...puts.map((told) => `put ${told}`), ...ends.map((told) => `end ${told}`)]));
  }, 60_000);
});
