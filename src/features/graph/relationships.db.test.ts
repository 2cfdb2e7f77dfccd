import { describe, expect, it } from "@jest/globals";
import { affected, sql } from "#src/db/sql";
import { parseInputs } from "#src/http/parse-input";
import { askGraphql } from "../../../test/kit/graphql.ts";
import { people } from "../../../test/kit/people.ts";
import { actorOf, block, restrict, socialKit } from "../../../test/kit/social.ts";
import { relationshipsRoutes } from "./relationships.routes.ts";
import { readRelationships } from "./relationships.ts";

const NOTHING = {
  isFollowing: false,
  followRequested: false,
  followsYou: false,
  asksToFollowYou: false,
  isBlocking: false,
  muting: null,
};
const NOBODY = "019abc00-0000-7000-8000-000000000001";

describe("what one is to many people", () => {
  it("is told of each, in the order asked, in one statement", async () => {
    await using kit = await socialKit();
    const { ann, bob, cat, dan, eve, fay } = await people(kit.db, { ann: {}, bob: {}, cat: {}, dan: {}, eve: {}, fay: {} });
    await affected(
      kit.db,
      sql`insert into follows (follower_id, followee_id, state) values
            (${ann.id}::uuid, ${bob.id}::uuid, 'accepted'), (${bob.id}::uuid, ${ann.id}::uuid, 'requested'),
            (${ann.id}::uuid, ${cat.id}::uuid, 'requested'), (${cat.id}::uuid, ${ann.id}::uuid, 'accepted'),
            (${ann.id}::uuid, ${dan.id}::uuid, 'gone'), (${dan.id}::uuid, ${bob.id}::uuid, 'accepted')`,
    );
    await affected(
      kit.db,
      sql`insert into mutes (muter_id, muted_id, until, notifications) values
            (${ann.id}::uuid, ${dan.id}::uuid, '2100-01-01T00:00:00Z', true), (${ann.id}::uuid, ${cat.id}::uuid, null, false),
            (${ann.id}::uuid, ${eve.id}::uuid, now() - interval '1 second', true), (${eve.id}::uuid, ${ann.id}::uuid, null, true),
            (${ann.id}::uuid, ${fay.id}::uuid, null, true)`,
    );
    await block(kit.db, ann, fay);
    const ids = [eve.id, dan.id, cat.id, bob.id, fay.id, ann.id, NOBODY];
    const viewer = actorOf(ann);

    expect(await readRelationships(kit, { viewer, ids })).toEqual([
      { ...NOTHING, id: eve.id },
      { ...NOTHING, id: dan.id, muting: { until: "2100-01-01T00:00:00.000Z", notifications: true } },
      { ...NOTHING, id: cat.id, followRequested: true, followsYou: true, muting: { until: null, notifications: false } },
      { ...NOTHING, id: bob.id, isFollowing: true, asksToFollowYou: true },
      { ...NOTHING, id: fay.id, isBlocking: true },
    ]);
    expect(await kit.statements(() => readRelationships(kit, { viewer, ids }))).toBe(1);
  });

  it("is the same over GraphQL, and so are the people, each once and in as many statements as over REST", async () => {
    await using kit = await socialKit();
    const { ann, bob, cat, dan } = await people(kit.db, { ann: {}, bob: {}, cat: {}, dan: {} });
    await affected(
      kit.db,
      sql`insert into follows (follower_id, followee_id, state) values (${ann.id}::uuid, ${bob.id}::uuid, 'accepted')`,
    );
    await affected(
      kit.db,
      sql`insert into mutes (muter_id, muted_id, until, notifications) values (${ann.id}::uuid, ${bob.id}::uuid, null, true)`,
    );
    await block(kit.db, cat, ann);
    await block(kit.db, ann, dan);
    const ids = [dan.id, bob.id, cat.id, NOBODY, bob.id.toUpperCase(), ann.id];
    const viewer = actorOf(ann);

    const told = `relationships(ids: $ids) { id isFollowing followRequested followsYou asksToFollowYou isBlocking muting { until notifications } }`;
    const source = `query ($ids: [ID!]!) { ${told} users(ids: $ids) { id username status } }`;
    const ask = () => askGraphql(kit, viewer, source, { variables: { ids } });
    expect(await ask()).toEqual({
      data: {
        relationships: await readRelationships(kit, { viewer, ids: [...new Set(ids.map((id) => id.toLowerCase()))] }),
        users: [bob, ann].map(({ id }) => expect.objectContaining({ id, status: "active" }) as unknown),
      },
      codes: [],
    });
    expect(await kit.statements(ask)).toBe(2);
    expect(await askGraphql(kit, viewer, source, { variables: { ids: [] } })).toEqual({
      data: { relationships: [], users: [] },
      codes: [],
    });
    for (const wrong of [[NOBODY, "ann"], [`${NOBODY},${NOBODY}`], Array.from({ length: 101 }, () => NOBODY)]) {
      for (const field of ["users", "relationships"]) {
        const answer = await askGraphql(kit, viewer, `query ($ids: [ID!]!) { ${field}(ids: $ids) { id } }`, { variables: { ids: wrong } });
        expect(answer).toEqual({ data: null, codes: ["input.invalid"] });
      }
    }
  });

  it("is nothing with who blocked one, both ways too, and who is gone, as with an id that nobody has", async () => {
    await using kit = await socialKit();
    const { ann, bob, cat, dan, eve, fay } = await people(kit.db, { ann: {}, bob: {}, cat: {}, dan: {}, eve: {}, fay: {} });
    await block(kit.db, bob, ann);
    await block(kit.db, cat, ann);
    await block(kit.db, ann, cat);
    // Blocked and gone: nothing is left to take back.
    await block(kit.db, ann, dan);
    await restrict(kit.db, dan, { status: "erased" });
    await restrict(kit.db, eve, { status: "deactivated" });
    await restrict(kit.db, fay, { status: "banned" });
    const ids = [bob.id, cat.id, dan.id, eve.id, NOBODY, fay.id];

    // A banned one is there, as in lists; what was between the two is the viewer's too.
    expect(await readRelationships(kit, { viewer: actorOf(ann), ids })).toEqual([{ ...NOTHING, id: fay.id }]);
    for (const role of ["moderator", "admin"] as const) {
      expect(await readRelationships(kit, { viewer: actorOf(ann, { role }), ids })).toEqual([{ ...NOTHING, id: fay.id }]);
    }
  });
});

describe("ids in an address", () => {
  const parse = (ids: unknown): unknown => parseInputs([{ place: "query", schema: relationshipsRoutes[0]?.query, given: { ids } }]).query;

  it("are answered once and in lower case", () => {
    expect(parse(`${NOBODY},${NOBODY.toUpperCase()},${NOBODY}`)).toEqual({ ids: [NOBODY] });
  });

  it.each<[string, unknown, string]>([
    ["none", undefined, "query.ids"],
    ["an empty text", "", "query.ids[0]"],
    ["a comma", ",", "query.ids[0]"],
    ["what is no id", `${NOBODY},ann`, "query.ids[1]"],
    ["a space", `${NOBODY}, ${NOBODY}`, "query.ids[1]"],
    ["SQL", "'; drop table users; --", "query.ids[0]"],
    ["101 of one", Array.from({ length: 101 }, () => NOBODY).join(","), "query.ids"],
    ["10,000 commas", ",".repeat(10_000), "query.ids"],
  ])("are refused where they are %s", (_what, ids, path) => {
    expect(() => parse(ids)).toThrow(
      expect.objectContaining({
        code: "input.invalid",
        details: expect.objectContaining({ errors: expect.arrayContaining([expect.objectContaining({ path })]) }),
      }),
    );
  });
});
