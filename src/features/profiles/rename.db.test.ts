import { describe, expect, it } from "@jest/globals";
import { affected, row, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { findUserId, insertUser, insertUsers, selectHolders } from "#src/features/accounts/public";
import type { Actor } from "#src/kernel/actor";
import { systemClock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { codeOf } from "../../../test/kit/outcome.ts";
import { people, type Person } from "../../../test/kit/people.ts";
import { actorOf, block, restrict, socialKit, type SocialKit } from "../../../test/kit/social.ts";
import { readMe, updateProfile } from "./me.ts";
import { readProfile } from "./people.ts";

const minutesAgo = 60_000;

/** A session that began so many minutes ago. */
async function sessionOf(kit: SocialKit, person: Person, minutes = 0): Promise<Pick<Actor, "userId" | "sessionId">> {
  const sessionId = newUuid(systemClock) as Actor["sessionId"];
  const createdAt = new Date(Date.now() - minutes * minutesAgo).toISOString();
  await affected(
    kit.db,
    sql`insert into sessions (id, user_id, created_at, last_seen_at, expires_at)
        values (${sessionId}::uuid, ${person.id}::uuid, ${createdAt}::timestamptz, now(), now() + interval '1 day')`,
  );
  return { userId: person.id, sessionId };
}

const rename = (kit: SocialKit, actor: Pick<Actor, "userId" | "sessionId">, username: string) =>
  updateProfile(kit, { actor, change: { username } });
const seen = (kit: SocialKit, viewer: { readonly id: string }, idOrUsername: string) =>
  readProfile(kit, { viewer: actorOf(viewer), idOrUsername });
const register = (kit: SocialKit, username: string) =>
  inTx(kit.db, (tx) =>
    insertUser(tx, {
      id: newUuid(systemClock),
      username,
      email: "new@example.com",
      displayName: "x",
      roles: ["user"],
      locale: "en",
      emailVerified: true,
    }),
  );
/** As if the names had been left so many days ago. */
const pass = (kit: SocialKit, days: number) =>
  affected(
    kit.db,
    sql`update former_usernames set left_at = left_at - make_interval(days => ${days}::int), kept_until = kept_until - make_interval(days => ${days}::int)`,
  );

describe("another username", () => {
  it("is told by event and notice, and the name before leads to the person", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });

    const me = await rename(kit, await sessionOf(kit, ann), "Anna");

    expect(me).toMatchObject({ username: "Anna", profileVersion: 2 });
    expect(await rows(kit.db, sql`select type, data from outbox order by user_version`)).toMatchObject([
      { type: "videamozi.user.profile_updated.v1", data: { username: "Anna", previousUsername: "ann", profileVersion: 2 } },
      { type: "videamozi.user.notified.v1" },
    ]);
    expect(await row(kit.db, sql`select type, data from notices`)).toEqual({
      type: "security.username_changed",
      data: { from: "ann", to: "Anna" },
    });
    expect(await seen(kit, bob, "ANN")).toMatchObject({ id: ann.id, username: "Anna", movedFrom: "ANN" });
    expect(await seen(kit, bob, "anna")).not.toHaveProperty("movedFrom");
    expect(await findUserId(kit.db, { username: "Ann" })).toBe(ann.id);
    await pass(kit, 91);
    expect(await codeOf(seen(kit, bob, "ann"))).toBe("user.not_found");
  });

  it("wants a session whose owner has just proved who they are", async () => {
    await using kit = await socialKit();
    const { ann } = await people(kit.db, { ann: {} });

    expect(await codeOf(rename(kit, await sessionOf(kit, ann, 11), "anna"))).toBe("step_up.required");
    expect(await codeOf(updateProfile(kit, { actor: { userId: ann.id }, change: { username: "anna" } }))).toBe("step_up.required");
    const inPlace = await sessionOf(kit, ann);
    await affected(kit.db, sql`update sessions set impersonator_id = ${ann.id}::uuid where id = ${inPlace.sessionId}::uuid`);
    expect(await codeOf(rename(kit, inPlace, "anna"))).toBe("step_up.required");
    expect(await readMe(kit, { userId: ann.id })).toMatchObject({ username: "ann", profileVersion: 1 });
  });

  it("is refused to whoever may not edit their profile", async () => {
    await using kit = await socialKit();
    const { ann } = await people(kit.db, { ann: {} });
    await restrict(kit.db, ann, { limited: ["edit_profile"] });

    expect(await codeOf(rename(kit, await sessionOf(kit, ann), "anna"))).toBe("capability.limited");
  });

  it("is possible twice in 30 days; another case of the same name always", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    const actor = await sessionOf(kit, ann);
    await rename(kit, actor, "ann.b");
    await pass(kit, 20);
    await rename(kit, actor, "ann.c");

    const refused = await rename(kit, actor, "ann.d").catch((error: unknown) => error);

    expect(refused).toMatchObject({ code: "username.changed_often", details: { extensions: { possibleAt: expect.any(String) } } });
    const { possibleAt } = (refused as { details: { extensions: { possibleAt: string } } }).details.extensions;
    expect((Date.parse(possibleAt) - Date.now()) / 86_400_000).toBeCloseTo(10, 1);
    expect(await rename(kit, actor, "Ann.C")).toMatchObject({ username: "Ann.C" });
    expect(await seen(kit, bob, "ann.c")).not.toHaveProperty("movedFrom");
    await pass(kit, 11);
    expect(await rename(kit, actor, "ann.d")).toMatchObject({ username: "ann.d" });
  });

  it("leaves a name that nobody else can have, by no way in, until it is over; its owner can take it back", async () => {
    await using kit = await socialKit();
    const { ann, bob, eve } = await people(kit.db, { ann: {}, bob: {}, eve: {} });
    const actor = await sessionOf(kit, ann);
    await rename(kit, actor, "anna");

    const other = {
      id: newUuid(systemClock),
      username: "Ann",
      email: "other@example.com",
      displayName: "x",
      roles: ["user"],
      locale: "en",
    } as const;
    expect(await codeOf(rename(kit, await sessionOf(kit, bob), "ANN"))).toBe("username.taken");
    expect(await codeOf(register(kit, "aNN"))).toBe("username.taken");
    expect(await inTx(kit.db, (tx) => insertUsers(tx, [{ ...other, emailVerified: true, bio: "" }]))).toEqual([]);
    expect(await selectHolders(kit.db, [other])).toMatchObject([{ ofUsername: ann.id }]);
    await expect(
      affected(kit.db, sql`insert into users (id, username, email, display_name) values (gen_random_uuid(), 'ann', 'o@example.com', 'x')`),
    ).rejects.toMatchObject({ code: "23505", constraint: "users_username_key" });

    expect(await rename(kit, actor, "ann")).toMatchObject({ username: "ann" });
    expect(await seen(kit, bob, "anna")).toMatchObject({ username: "ann", movedFrom: "anna" });
    await pass(kit, 91);
    expect(await rename(kit, await sessionOf(kit, eve), "anna")).toMatchObject({ username: "anna" });
    expect(await seen(kit, bob, "anna")).toMatchObject({ id: eve.id, username: "anna" });
  });

  it("is ASCII: what only looks like another name cannot be asked for", async () => {
    const { profileChange } = await import("./profiles.schemas.ts");
    // Cyrillic а, full-width a, dotless ı, Kelvin sign, long s, a zero-width joiner, and reserved words in any case.
    for (const name of ["аnn", "ａnn", "ann\u0131", "\u212Aate", "\u017Fam", "an\u200Dn", "Admin", "ME1\u0000", "a..b", ".ann"]) {
      expect([name, profileChange.safeParse({ username: name }).success]).toEqual([name, false]);
    }
    expect(profileChange.safeParse({ username: "ann_1.b" }).success).toBe(true);
  });

  it("leads nobody past a block, on either side, by no name", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await rename(kit, await sessionOf(kit, ann), "anna");
    await rename(kit, await sessionOf(kit, bob), "bobby");
    await block(kit.db, ann, bob);

    for (const name of ["ann", "anna"]) expect(await codeOf(seen(kit, bob, name))).toBe("user.not_found");
    for (const name of ["bob", "bobby"]) expect(await codeOf(seen(kit, ann, name))).toBe("user.not_found");
  });

  it("goes to one of fifty who want it at once, and a name just left to its owner alone", async () => {
    await using kit = await socialKit({ maxConnections: 10 });
    const crowd = Object.values(
      await people(kit.db, Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`user${n}`, {}])) as Record<string, object>),
    );
    const actors = await Promise.all(crowd.map((one) => sessionOf(kit, one)));

    const outcomes = await Promise.all(actors.map((actor, n) => codeOf(rename(kit, actor, n % 2 === 0 ? "wanted" : "WANTED"))));

    expect(outcomes.filter((code) => code !== "username.taken")).toHaveLength(1);
    const winner = outcomes.findIndex((code) => code !== "username.taken");
    const then = await Promise.all(actors.map((actor, n) => codeOf(rename(kit, actor, n === winner ? "elsewhere" : "wanted"))));
    expect(then.filter((code, n) => n !== winner && code !== "username.taken")).toEqual([]);
    expect(await findUserId(kit.db, { username: "wanted" })).toBe(crowd[winner]?.id);
  });

  it("of an erased account is answered by nobody and taken by nobody, nor are those it left", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await rename(kit, await sessionOf(kit, ann), "anna");
    await affected(kit.db, sql`update users set status = 'erased' where id = ${ann.id}::uuid`);
    await pass(kit, 400);

    const actor = await sessionOf(kit, bob);
    for (const name of ["ann", "anna"]) {
      expect(await codeOf(seen(kit, bob, name))).toBe("user.not_found");
      expect(await codeOf(rename(kit, actor, name))).toBe("username.taken");
      expect(await codeOf(register(kit, name))).toBe("username.taken");
    }
  });
});
