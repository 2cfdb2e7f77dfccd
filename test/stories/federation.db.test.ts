/** The service as a part of a federated graph: what it is composed of, and the people whom other services refer to. */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { assertCompositionSuccess, composeServices } from "@theguild/federation-composition";
import { graphql, parse } from "graphql";
import { discovery } from "#src/features/discovery/feature";
import { graph } from "#src/features/graph/feature";
import { profiles } from "#src/features/profiles/feature";
import { RequestContext } from "#src/graphql/context";
import { assembleSchema } from "#src/graphql/schema";
import { systemClock } from "#src/kernel/clock";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import type { Answer, GraphqlBody } from "../kit/http-client.ts";
import { people as makePeople } from "../kit/people.ts";
import { logIn, makeStaff, onDatabase, registerPeople, startApiProcess, type ApiProcess, type SignedIn } from "../kit/service.ts";
import { testClient } from "../kit/sessions.ts";
import { actorOf, socialKit, type SocialKit } from "../kit/social.ts";

const stack = new AsyncDisposableStack();
let database: TestDatabase;
let api: ApiProcess;
let people: Record<"ann" | "bob" | "blocker" | "banned" | "shy", SignedIn>;

beforeAll(async () => {
  database = stack.use(await cloneDatabase());
  api = stack.use(await startApiProcess({ database }));
  people = await registerPeople(api.http, ["ann", "bob", "blocker", "banned", "shy"]);
  const { ann, blocker, banned, shy } = people;
  await api.http.post(`/api/users/${ann.id}/block`, undefined, blocker.accessToken);
  await api.http.send("PATCH", "/api/users/me/privacy", { token: shy.accessToken, body: { preset: "private" } });
  await onDatabase(database.adminUrl, "update users set status = 'banned' where id = $1", [banned.id]);
}, 60_000);
afterAll(() => stack.disposeAsync());

const user = (id: unknown, more: object = {}): object => ({ __typename: "User", id, ...more });
const REFERENCES = `query ($r: [_Any!]!) { _entities(representations: $r) { __typename ... on User { id username status displayName } } }`;

interface Found {
  readonly _entities: readonly (Readonly<Record<string, unknown>> | null)[];
}

const refer = (r: unknown, token: string | undefined = people.ann.accessToken, text = REFERENCES): Promise<Answer<GraphqlBody<Found>>> =>
  api.http.graphql<Found>(text, token, { r });
const codesOf = ({ body }: Answer<GraphqlBody<unknown>>): readonly string[] => (body.errors ?? []).map(({ extensions }) => extensions.code);

/** A service of posts, as a neighbour would write it: it knows of people nothing but their ids. */
const POSTS = `
  extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])
  type Query { posts: [Post!]! }
  type Post @key(fields: "id") { id: ID!, text: String!, author: User! }
  type User @key(fields: "id") { id: ID!, posts: [Post!]! }
`;

describe("composition", () => {
  it("tells nobody how long its fields take, a gateway that asks for it neither", async () => {
    const headers = { "apollo-federation-include-trace": "ftv1" };
    const { body } = await api.http.send<object>("POST", "/graphql", { headers, body: { query: "{ me { id } }" } });
    expect(Object.keys(body).sort()).toEqual(["data", "errors"]);
  });

  it("joins what the service says of itself with a service that refers to people", async () => {
    const { body } = await api.http.graphql<{ _service: { sdl: string } }>("{ _service { sdl } }");
    const sdl = body.data?._service.sdl ?? "";
    expect(sdl).toMatch(/^extend schema @link\(url: "https:\/\/specs\.apollo\.dev\/federation\/v2\.\d+", import: \["@key"\]\)/);
    expect(sdl).toContain(`type User @key(fields: "id") {`);
    expect(sdl).not.toMatch(/_entities|_service|_Any|_Entity|_Service|FieldSet/);

    const composed = composeServices([
      { name: "users", url: `${api.url}/graphql`, typeDefs: parse(sdl) },
      { name: "posts", url: "http://posts.example/graphql", typeDefs: parse(POSTS) },
    ]);
    assertCompositionSuccess(composed);
    const type = /^type User \{[\s\S]*?^\}/m.exec(composed.publicSdl)?.[0] ?? "";
    for (const field of ["username: String!", "followersCount: Int", "posts: [Post!]!"]) expect(type).toContain(field);
    // A gateway goes by the key from one to the other.
    expect(composed.supergraphSdl).toMatch(/type User\s+@join__type\(graph: POSTS, key: "id"\)\s+@join__type\(graph: USERS, key: "id"\)/);
  });
});

describe("references to people", () => {
  it("are resolved in their order as the viewer may see them, and null for whom they may not know of", async () => {
    const { ann, bob, blocker, banned, shy } = people;
    const nobody = "0190a000-0000-7000-8000-000000000000";
    const asked = [bob.id, blocker.id, nobody, banned.id, shy.id, ann.id, bob.id.toUpperCase(), "bob", ""];
    const { body } = await refer(asked.map((id) => user(id)));

    expect(body.errors).toBeUndefined();
    const shown = (who: SignedIn, name: string, status = "active"): object => ({
      __typename: "User",
      id: who.id,
      username: name,
      status,
      displayName: name,
    });
    expect(body.data?._entities).toEqual([
      shown(bob, "bob"),
      null,
      null,
      { ...shown(banned, "banned", "unavailable"), displayName: null },
      shown(shy, "shy", "private"),
      shown(ann, "ann"),
      shown(bob, "bob"),
      null,
      null,
    ]);
    expect((await refer([user(ann.id)], blocker.accessToken)).body.data?._entities).toEqual([null]);
  });

  it("show what lists show: no address of anybody", async () => {
    const { bob } = people;
    await api.http.send("PATCH", "/api/users/me/privacy", { token: bob.accessToken, body: { email: "everyone" } });
    const text = `query ($r: [_Any!]!) { _entities(representations: $r) { ... on User { email } } }`;
    expect((await refer([user(bob.id)], people.ann.accessToken, text)).body.data?._entities).toEqual([{ email: null }]);
  });

  it("want the caller's token, as user(id) does, whatever they name", async () => {
    for (const r of [[user(people.bob.id)], [], [{ __typename: "Nothing" }], ["x"]]) {
      const answer = await refer(r, "");
      expect([answer.body.data ?? null, codesOf(answer)]).toEqual([null, [answer.body.errors?.[0]?.extensions.code]]);
      expect(codesOf(answer)[0]).toMatch(/^token\./);
    }
    const banned = await refer([user(people.bob.id)], (await logIn(api.http, "banned")).accessToken);
    expect(codesOf(banned)).toEqual(["account.restricted"]);
  });

  it("are moderators' to see whole", async () => {
    await makeStaff(database, people.shy, "moderator");
    const { accessToken } = await logIn(api.http, "shy");
    expect((await refer([user(people.banned.id)], accessToken)).body.data?._entities).toMatchObject([{ status: "banned" }]);
  });

  it("that are none are refused whole, and name the first that is wrong", async () => {
    const good = user(people.bob.id);
    for (const wrong of [
      null,
      7,
      "User",
      [],
      {},
      { id: people.bob.id },
      { __typename: 7, id: people.bob.id },
      { __typename: ["User"], id: people.bob.id },
      ...["Query", "Mutation", "Pagination", "_Service", "__Schema", "Post", "user", "__proto__", "constructor", "toString", ""].map(
        (name) => ({
          __typename: name,
          id: people.bob.id,
        }),
      ),
    ]) {
      const answer = await refer([good, wrong]);
      expect([answer.status < 500, answer.body.data ?? null]).toEqual([true, null]);
      expect(codesOf(answer)).toEqual(["input.invalid"]);
      if (wrong !== null) expect(JSON.stringify(answer.body)).toContain("arguments.representations.1.__typename");
    }
    const literal = `{ _entities(representations: [{ __proto__: { __typename: "User", id: "${people.bob.id}" } }]) { __typename } }`;
    expect(codesOf(await api.http.graphql(literal, people.ann.accessToken))).toEqual(["input.invalid"]);
    const inherited = `{"query":${JSON.stringify(REFERENCES)},"variables":{"r":[{"__proto__":${JSON.stringify(good)}}]}}`;
    const sent = await api.http.send<GraphqlBody>("POST", "/graphql", { token: people.ann.accessToken, body: inherited });
    expect(codesOf(sent)).toEqual(["input.invalid"]);
  });

  it("without their key, or with one that is no text, are null with a reason beside those that are right", async () => {
    const wrong = [{ __typename: "User" }, user(7), user({ $ne: 1 }), user(["x"]), user(null), user(true)];
    const answer = await refer([...wrong, user(people.bob.id, { reputation: 7, constructor: "x" })]);
    expect(answer.body.data?._entities.map((one) => one?.["username"] ?? null)).toEqual([...wrong.map(() => null), "bob"]);
    expect(codesOf(answer)).toEqual(wrong.map(() => "input.invalid"));
  });

  it("are at most a hundred, and count in what an operation costs", async () => {
    const many = (count: number): object[] => Array.from({ length: count }, () => user(people.bob.id));
    expect((await refer(many(100))).body.data?._entities).toHaveLength(100);
    expect(codesOf(await refer(many(101)))).toEqual(["input.invalid"]);
    const costly = `query ($r: [_Any!]!) { ${["a", "b", "c", "d", "e", "f"].map((name) => `${name}: _entities(representations: $r) { ... on User { social { postsCount } } }`).join(" ")} }`;
    expect(codesOf(await refer(many(90), people.ann.accessToken, costly))).toEqual(["graphql.too_costly"]);
    const lists = `query ($r: [_Any!]!) { _entities(representations: $r) { ... on User { links { url } } } }`;
    expect(codesOf(await refer(many(90), people.ann.accessToken, lists))).toEqual([]);
    expect(codesOf(await refer(many(100), people.ann.accessToken, lists))).toEqual(["graphql.too_costly"]);
  });

  it("in thousands are refused before anybody is read", async () => {
    expect(codesOf(await refer(Array.from({ length: 10_000 }, () => user(people.bob.id))))).toEqual(["graphql.body_too_large"]);
    expect(codesOf(await refer(Array.from({ length: 10_000 }, () => ({}))))).toEqual(["graphql.too_costly"]);
    expect(codesOf(await refer(Array.from({ length: 10_000 }, () => 1)))).toEqual(["graphql.too_costly"]);
    const aliases = Array.from({ length: 16 }, (_, n) => `a${n}: _entities(representations: $r) { __typename }`).join(" ");
    expect(codesOf(await refer([user(people.bob.id)], undefined, `query ($r: [_Any!]!) { ${aliases} }`))).toEqual([
      "graphql.too_many_aliases",
    ]);
    const circle = `query ($r: [_Any!]!) { _entities(representations: $r) { ...A } } fragment A on User { ...B } fragment B on User { ...A }`;
    expect(codesOf(await refer([user(people.bob.id)], undefined, circle))[0]).toMatch(/^graphql\.(document_invalid|too_deep)$/);
  });

  it("left no error in the log", () => {
    expect(api.errors()).toEqual([]);
  });
});

const schema = assembleSchema<Pick<SocialKit, "db" | "config"> & { readonly clock: typeof systemClock }>([
  profiles.graphql,
  graph.graphql,
  discovery.graphql,
]);

describe("statements", () => {
  it("are as many for two references as for fifty, whatever is asked of them", async () => {
    await using kit = await socialKit();
    const crowd = await makePeople(kit.db, Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`bob${n}`, {}])));
    const ids = Object.values(crowd).map(({ id }) => id);
    const source = `query ($r: [_Any!]!) {
      a: _entities(representations: $r) { ... on User { username followersCount followingCount social { postsCount } } }
      b: _entities(representations: $r) { ... on User { displayName } }
    }`;
    const cost = (count: number): Promise<number> =>
      kit.statements(async () => {
        const gate = () => Promise.resolve(actorOf({ id: ids[0] ?? "" }));
        const asker = { accessToken: "a", client: testClient, gate, throttle: () => {} };
        const contextValue = new RequestContext({ db: kit.db, clock: systemClock, config: kit.config }, asker);
        const r = ids.slice(0, count).map((id) => user(id));
        const { data, errors } = await graphql({ schema, source, variableValues: { r }, contextValue });
        expect(errors).toBeUndefined();
        expect((data as { a: readonly unknown[] }).a.filter((one) => one !== null)).toHaveLength(count);
      });

    // People; counters and who may see them; the social service's figures.
    expect([await cost(2), await cost(50)]).toEqual([4, 4]);
  });
});
