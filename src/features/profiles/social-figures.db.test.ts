import { describe, expect, it } from "@jest/globals";
import { graphql } from "graphql";
import { affected, sql } from "#src/db/sql";
import { discovery } from "#src/features/discovery/feature";
import { RequestContext } from "#src/graphql/context";
import { assembleSchema } from "#src/graphql/schema";
import { people } from "../../../test/kit/people.ts";
import { testClient } from "../../../test/kit/sessions.ts";
import { actorOf, block, readsOf, restrict, socialKit, type SocialKit } from "../../../test/kit/social.ts";
import { profiles } from "./feature.ts";
import { readMe } from "./me.ts";
import { readProfile } from "./people.ts";
import { meSchema, profileSchema } from "./profiles.views.ts";

const social = { postsCount: 3, reactionsCount: 12, asOf: "2026-11-24T12:00:00.000Z" };

/** What the social service told of someone. */
async function told(kit: SocialKit, person: { readonly id: string }, reactions: number | null = 12): Promise<void> {
  await affected(
    kit.db,
    sql`insert into social_profiles (user_id, version, posts_count, reactions_count, source_time)
        values (${person.id}::uuid, 5, 3, ${reactions}::bigint, '2026-11-24T12:00:00Z')`,
  );
}

describe("what the social service told of someone", () => {
  it("is shown with the profile and with one's own account, in the one statement each costs", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await told(kit, bob);
    let [profile, me]: unknown[] = [];

    const statements = await kit.statements(async () => {
      profile = await readProfile(kit, { viewer: actorOf(ann), idOrUsername: "bob" });
      me = await readMe(kit, { userId: bob.id });
    });

    expect(statements).toBe(2);
    expect(profileSchema.parse(profile)).toMatchObject({ social });
    expect(meSchema.parse(me)).toMatchObject({ social });
  });

  it("is null until it has told anything, and so is what it does not count", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await told(kit, bob, null);

    expect(await readMe(kit, { userId: ann.id })).toMatchObject({ social: null });
    expect(await readProfile(kit, { viewer: actorOf(bob), idOrUsername: "ann" })).toMatchObject({ social: null });
    expect(await readProfile(kit, { viewer: actorOf(ann), idOrUsername: "bob" })).toMatchObject({
      social: { ...social, reactionsCount: null },
    });
  });

  it("is not shown of whom the viewer may not see", async () => {
    await using kit = await socialKit();
    const { ann, bob, cat } = await people(kit.db, { ann: {}, bob: {}, cat: {} });
    for (const person of [bob, cat]) await told(kit, person);
    await restrict(kit.db, bob, { status: "banned" });
    await block(kit.db, cat, ann);

    expect(await readProfile(kit, { viewer: actorOf(ann), idOrUsername: "bob" })).toEqual({
      id: bob.id,
      username: "bob",
      status: "unavailable",
    });
    await expect(readProfile(kit, { viewer: actorOf(ann), idOrUsername: "cat" })).rejects.toMatchObject({ code: "user.not_found" });
    expect(await readProfile(kit, { viewer: actorOf(ann, { role: "moderator" }), idOrUsername: "bob" })).toMatchObject({ social });
  });

  it("is found by its key, however many there are", async () => {
    await using kit = await socialKit({ maxConnections: 1 });
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await affected(
      kit.db,
      sql`with made as (
            insert into users (id, username, email, display_name)
            select gen_random_uuid(), 'user' || n, 'user' || n || '@example.com', 'User' from generate_series(1, 5000) n returning id
          )
          insert into social_profiles (user_id, version, posts_count, source_time) select id, 1, 1, now() from made`,
    );
    await told(kit, bob);
    await affected(kit.db, sql`analyze users, social_profiles`);
    const before = await readsOf(kit.db, "social_profiles");

    for (let time = 0; time < 10; time += 1) {
      expect(await readMe(kit, { userId: bob.id })).toMatchObject({ social });
      expect(await readProfile(kit, { viewer: actorOf(ann), idOrUsername: "bob" })).toMatchObject({ social });
    }

    const after = await readsOf(kit.db, "social_profiles");
    expect(after.sequential).toBe(before.sequential);
    expect(after.index - before.index).toBe(20);
  });
});

const schema = assembleSchema([profiles.graphql, discovery.graphql]);

async function query(kit: SocialKit, who: { readonly id: string }, source: string): Promise<unknown> {
  const contextValue = new RequestContext(
    { db: kit.db },
    { accessToken: who.id, client: testClient, gate: (token) => Promise.resolve(actorOf({ id: token ?? "" })), throttle: () => {} },
  );
  const { data, errors } = await graphql({ schema, source, contextValue });
  expect(errors).toBeUndefined();
  return JSON.parse(JSON.stringify(data));
}

describe("what the social service told, over GraphQL", () => {
  it("is a field of a user: of a profile, of oneself, and of everyone in a list by one more statement", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {}, bobby: {}, bobo: {} });
    await told(kit, bob);
    const fields = "social { postsCount reactionsCount asOf }";
    const search = (what: string): Promise<unknown> => query(kit, ann, `{ searchUsers(query: "bob") { data { username ${what} } } }`);

    expect(await query(kit, ann, `{ me { ${fields} } user(username: "bob") { ${fields} } }`)).toEqual({
      me: { social: null },
      user: { social },
    });
    const without = await kit.statements(() => search(""));
    let found: unknown;
    const withFigures = await kit.statements(async () => (found = await search(fields)));

    expect(found).toMatchObject({
      searchUsers: {
        data: expect.arrayContaining([
          { username: "bob", social },
          { username: "bobby", social: null },
          { username: "bobo", social: null },
        ]),
      },
    });
    expect(withFigures - without).toBe(1);
  });

  it("is null of an unavailable account", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await told(kit, bob);
    await restrict(kit.db, bob, { status: "suspended" });

    expect(await query(kit, ann, `{ user(username: "bob") { status social { postsCount } } }`)).toEqual({
      user: { status: "unavailable", social: null },
    });
  });
});
