import { describe, expect, it } from "@jest/globals";
import { affected, rows, sql } from "#src/db/sql";
import { systemClock } from "#src/kernel/clock";
import { people } from "../../../test/kit/people.ts";
import { codeOf } from "../../../test/kit/outcome.ts";
import { actorOf, block, restrict, socialKit } from "../../../test/kit/social.ts";
import { readProfile } from "#src/features/profiles/people";
import { follow } from "./follow.ts";
import { deleteEndedMutes, selectIsQuiet } from "./mute.sql.ts";
import { mute, unmute } from "./mute.ts";
import { listMutes } from "./own-lists.ts";

interface Someone {
  readonly id: string;
}

const pairOf = (actor: Someone, other: Someone): { actorId: string; otherId: string } => ({ actorId: actor.id, otherId: other.id });
const forGood = { until: null, notifications: true };
const whole = { limit: 10, cursor: undefined };

describe("mute", () => {
  it("changes nothing for the muted one, who cannot tell", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    const before = await readProfile(kit, { viewer: actorOf(bob), idOrUsername: "ann" });

    await mute({ ...kit, clock: systemClock }, pairOf(ann, bob), forGood);

    expect(await readProfile(kit, { viewer: actorOf(bob), idOrUsername: "ann" })).toEqual(before);
    expect(await follow(kit, { followerId: bob.id, followeeId: ann.id })).toBe("accepted");
    expect(await rows(kit.db, sql`select topic, subject from outbox where type like '%muted%'`)).toEqual([
      { topic: "users.private.v1", subject: ann.id },
    ]);
  });

  it("quiets from the other until it ends, and only where notices are muted too", async () => {
    await using kit = await socialKit();
    const deps = { ...kit, clock: systemClock };
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    const isQuiet = (): Promise<boolean> => selectIsQuiet(kit.db, pairOf(ann, bob));

    expect(await isQuiet()).toBe(false);
    await mute(deps, pairOf(ann, bob), { ...forGood, notifications: false });
    expect(await isQuiet()).toBe(false);
    await mute(deps, pairOf(ann, bob), { until: new Date(Date.now() + 60_000), notifications: true });
    expect(await isQuiet()).toBe(true);
    expect(await selectIsQuiet(kit.db, pairOf(bob, ann))).toBe(false);
    await affected(kit.db, sql`update mutes set until = now() - interval '1 second'`);
    expect(await isQuiet()).toBe(false);
    expect((await listMutes(kit, { viewer: actorOf(ann), ...whole })).data).toEqual([]);
    await deleteEndedMutes(kit.db);
    expect(await rows(kit.db, sql`select * from mutes`)).toEqual([]);
  });

  it("is listed, changed by doing it again, and taken back once", async () => {
    await using kit = await socialKit();
    const deps = { ...kit, clock: systemClock };
    const { ann, bob, cat } = await people(kit.db, { ann: {}, bob: {}, cat: {} });
    const until = new Date(Date.now() + 60_000);
    for (const one of [bob, cat]) await mute(deps, pairOf(ann, one), forGood);
    await mute(deps, pairOf(ann, bob), { until, notifications: false });

    const first = await listMutes(kit, { viewer: actorOf(ann), limit: 1, cursor: undefined });
    const second = await listMutes(kit, { viewer: actorOf(ann), limit: 1, cursor: first.pagination.nextCursor ?? "" });
    expect([...first.data, ...second.data]).toMatchObject([
      { user: { id: bob.id }, until, notifications: false },
      { user: { id: cat.id }, until: null, notifications: true },
    ]);
    expect((await listMutes(kit, { viewer: actorOf(bob), ...whole })).data).toEqual([]);

    for (let time = 0; time < 2; time += 1) expect(await unmute(kit, pairOf(ann, bob))).toBe("gone");
    expect(await rows(kit.db, sql`select type from outbox where type like '%unmuted%'`)).toHaveLength(1);
  });

  it("is refused for oneself, for who is not there, and for an end that has passed", async () => {
    await using kit = await socialKit();
    const deps = { ...kit, clock: systemClock };
    const { ann, bob, gone, bad } = await people(kit.db, { ann: {}, bob: {}, gone: {}, bad: {} });
    await block(kit.db, bob, ann);
    await restrict(kit.db, gone, { status: "erased" });
    await restrict(kit.db, bad, { status: "suspended" });

    expect(await codeOf(mute(deps, pairOf(ann, ann), forGood))).toBe("mute.self");
    for (const other of [bob, gone]) expect(await codeOf(mute(deps, pairOf(ann, other), forGood))).toBe("user.not_found");
    expect(await codeOf(mute(deps, pairOf(bad, ann), forGood))).toBe("account.restricted");
    expect(await codeOf(mute(deps, pairOf(ann, bad), { ...forGood, until: new Date(0) }))).toBe("input.invalid");
    expect(await codeOf(mute(deps, pairOf(ann, bad), forGood))).toBe("ok");
  });
});
