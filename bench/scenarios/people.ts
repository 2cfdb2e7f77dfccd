/** Search, lists, profiles and suggestions in a society: what one client waits for, among a million people and among ten thousand. */

import { closeDb, openDb, type Db } from "#src/db/pool";
import { selectPerson } from "#src/features/profiles/profiles.sql";
import { silentLog } from "#src/kernel/log";
import type { Api, Bench, Database } from "../kit/bench.ts";
import { HttpConnection, httpRequest, type RequestText } from "../kit/http-connection.ts";
import { measureLoad, takeTurns, type Measured } from "../kit/measure.ts";
import { cpuOf, rateOf, ratios, type Figure } from "../kit/report.ts";
import type { Scenario } from "../kit/scenario.ts";
import { userIdOf } from "../kit/seed.ts";
import { pairsOf, requestsOf, textsOf, type Kind, type Pair, type Texts } from "../kit/society-requests.ts";
import { seedSociety, type Society } from "../kit/society.ts";
import { withStatementLog } from "../kit/statement-log.ts";
import { statementOf } from "../kit/statement.ts";

const SMALL = 10_000;
const QUICK_SMALL = 2_000;
const PACE = { rounds: 5, roundMs: 3_000, warmUpMs: 3_000 };
const QUICK_PACE = { rounds: 2, roundMs: 400, warmUpMs: 400 };
/** In flight where service and floor are compared; else one. */
const AT_ONCE = 32;
/** A million names are sorted for the texts, and a long list is counted. */
const PREPARE_TIMEOUT_MS = 60_000;
/** Who asks where nothing is measured: a viewer who has blocked and muted many. */
const ASKING = 5;
const GROWTH = { is: "at most", bound: 2 } as const;

/** How long the client waits at most, p95 in ms; and whether it may wait longer where there are more people. */
const KINDS: Readonly<Record<Kind, { readonly p95Ms: number; readonly mayGrow?: boolean }>> = {
  "prefix search": { p95Ms: 10 },
  "typo search": { p95Ms: 250, mayGrow: true },
  "followers, first page": { p95Ms: 10 },
  "followers, in the middle": { p95Ms: 10 },
  "followers, last page": { p95Ms: 10 },
  profile: { p95Ms: 5 },
  suggestions: { p95Ms: 50 },
};
const KIND_NAMES = Object.keys(KINDS) as Kind[];

const USER_QUERY = `query ($id: ID!) { user(id: $id) { id username displayName avatarUrl bio status profileVersion isFollowing followRequested followsYou
  createdAt email followersCount followingCount links { label url } pronouns location timezone social { postsCount reactionsCount asOf } } }`;
const SEARCH_QUERY = `query ($q: String!, $limit: Int) { searchUsers(query: $q, pagination: { limit: $limit }) { data { id username displayName isFollowing
  followersCount followingCount social { postsCount } } pagination { total } } }`;

/** A society with what serves it. */
interface Place {
  readonly society: Society;
  readonly database: Database;
  readonly db: Db;
  readonly api: Api;
}

export const people: Scenario = {
  name: "people",
  summary: `search, followers, profile and suggestions by one client: p95, and ÷ that among ${SMALL} people; REST ÷ node:http with the same statement, GraphQL ÷ REST`,
  run: async (bench) => {
    const small = await placeOf(bench, bench.pace.quick ? QUICK_SMALL : SMALL);
    const large = await placeOf(bench, bench.pace.users);
    const load = await bench.load();
    const texts = await textsOf(small.db, large.db);
    const sides: Record<string, (durationMs: number) => Promise<Measured>> = {};
    const addSide = (name: string, { pid, port }: Api, script: string, connections: number): void => {
      sides[name] = (durationMs) => measureLoad(bench, load, { pid, plan: { script, port, connections, durationMs } });
    };
    for (const [size, here] of Object.entries({ small, large })) {
      const pairs = await pairsOf(here.db, here.society);
      const requests = await requestsOf({ ...here, texts, pairs, token: (number) => bench.token(number) });
      for (const kind of KIND_NAMES) {
        await load.learn({ name: `${kind}, ${size}`, requests: requests[kind] });
        addSide(`${kind}, ${size}`, here.api, `${kind}, ${size}`, 1);
      }
      await load.learn({ name: `user, ${size}`, requests: pairs.map((pair) => userRequest(bench, pair)) });
    }
    const floor = await bench.floorRead(large.database, await statementOf((db) => selectPerson(db, "viewer", { id: "path" })));
    addSide("REST profile", large.api, "profile, large", AT_ONCE);
    addSide("floor", floor, "profile, large", AT_ONCE);
    addSide("GraphQL user", large.api, "user, large", AT_ONCE);
    const notes = [await statementsNote(bench, large, texts), await typosNote(bench, large, texts), ...(await societyNotes(small, large))];
    const measured = await takeTurns(bench, sides, bench.pace.quick ? QUICK_PACE : PACE);
    return { sides: measured, figures: figuresOf(measured, large.society.people, small.society.people), notes };
  },
};

async function placeOf(bench: Bench, count: number): Promise<Place> {
  if (!Number.isSafeInteger(count) || count < QUICK_SMALL) throw new Error(`--users: a number from ${QUICK_SMALL} on`);
  const { database, filled } = await bench.filledDatabase((admin) => seedSociety(admin, count));
  await database.settle();
  const db = openDb({
    url: database.url,
    maxConnections: 2,
    applicationName: "bench",
    log: silentLog,
    statementTimeoutMs: PREPARE_TIMEOUT_MS,
  });
  bench.own({ [Symbol.asyncDispose]: () => closeDb(db) });
  return { society: filled, database, db, api: await bench.api(database) };
}

function figuresOf(measured: Readonly<Record<string, readonly Measured[]>>, many: number, few: number): Figure[] {
  const of = (side: string): readonly Measured[] => measured[side] ?? [];
  const waits = KIND_NAMES.flatMap((kind): Figure[] => {
    const { p95Ms, mayGrow = false } = KINDS[kind];
    const large = of(`${kind}, large`);
    return [
      { name: `${kind}: p95 among ${many}`, unit: "ms", values: large.map(p95Of), target: { is: "at most", bound: p95Ms } },
      {
        name: `${kind}: ÷ among ${few}`,
        unit: "×",
        values: ratios(large, of(`${kind}, small`), p95Of),
        ...(mayGrow ? {} : { target: GROWTH }),
      },
    ];
  });
  const [rest, floor, graphql] = [of("REST profile"), of("floor"), of("GraphQL user")];
  return [
    ...waits,
    { name: "REST profile ÷ floor, rate", unit: "×", values: ratios(rest, floor, rateOf), target: { is: "at least", bound: 0.6 } },
    { name: "REST profile ÷ floor, CPU", unit: "×", values: ratios(rest, floor, cpuOf) },
    {
      name: "GraphQL user ÷ REST profile, rate",
      unit: "×",
      values: ratios(graphql, rest, rateOf),
      target: { is: "at least", bound: 0.45 },
    },
    { name: "GraphQL user ÷ REST profile, CPU", unit: "×", values: ratios(graphql, rest, cpuOf) },
  ];
}

function p95Of({ latency }: Measured): number {
  return latency?.p95 ?? 0;
}

function graphqlRequest(bench: Bench, viewer: number, query: string, variables: object): RequestText {
  return { method: "POST", path: "/graphql", token: bench.token(viewer), body: JSON.stringify({ query, variables }) };
}

function userRequest(bench: Bench, { viewer, target }: Pair): RequestText {
  return graphqlRequest(bench, viewer, USER_QUERY, { id: target });
}

/** Asks once and gives the answer's body. @throws Error unless it is 2xx and, of GraphQL, without errors: a figure of refusals would be a lie */
async function ask(connection: HttpConnection, request: RequestText): Promise<string> {
  const answer = await connection.send(httpRequest(request));
  const body = answer.body();
  if (answer.status >= 300 || body.includes('"errors":')) throw new Error(`${request.path} answered ${answer.status}: ${body}`);
  return body;
}

/** How many statements a list of 5 and a list of 50 take, without those that begin and end a transaction. */
async function statementsNote(bench: Bench, { database, society, db }: Place, texts: Texts): Promise<string> {
  const [star = 0] = society.stars;
  const [pair] = await pairsOf(db, society);
  const [prefix = "", typo = ""] = [texts.prefixes[0], texts.typos[0]];
  if (pair === undefined) throw new Error("nobody sees anybody");
  const get = (path: string): RequestText => ({ method: "GET", path, token: bench.token(ASKING) });
  const asked: Readonly<Record<string, (limit: number) => RequestText>> = {
    "prefix search": (limit) => get(`/api/users/search?q=${encodeURIComponent(prefix)}&limit=${limit}`),
    "typo search": (limit) => get(`/api/users/search?q=${encodeURIComponent(typo)}&limit=${limit}`),
    followers: (limit) => get(`/api/users/${userIdOf(star)}/followers?limit=${limit}`),
    "own following": (limit) => get(`/api/users/${userIdOf(ASKING)}/following?limit=${limit}`),
    suggestions: (limit) => get(`/api/users/suggestions?limit=${limit}`),
    "follow requests": (limit) => get(`/api/users/me/follow-requests?limit=${limit}`),
    blocks: (limit) => get(`/api/users/me/blocks?limit=${limit}`),
    mutes: (limit) => get(`/api/users/me/mutes?limit=${limit}`),
    "GraphQL searchUsers with counters and figures": (limit) => graphqlRequest(bench, ASKING, SEARCH_QUERY, { q: prefix, limit }),
    profile: () => get(`/api/users/${pair.target}`),
    "GraphQL user": () => userRequest(bench, pair),
  };
  return await withStatementLog(bench, database, async (sentBy, port) => {
    using connection = await HttpConnection.open(port);
    const counts: string[] = [];
    for (const [name, request] of Object.entries(asked)) {
      const [few, many] = [await sentBy(() => ask(connection, request(5))), await sentBy(() => ask(connection, request(50)))];
      counts.push(`${name} ${few === many ? few : `${few} for 5, ${many} for 50`}`);
    }
    return `statements of a request, for 5 and for 50 people alike unless both are said: ${counts.join(", ")}`;
  });
}

/** In how many of the texts with typos the time was up: no more is found then than begins so, and the total says that it is not exact. */
async function typosNote(bench: Bench, { api }: Place, { typos }: Texts): Promise<string> {
  using connection = await HttpConnection.open(api.port);
  let givenUp = 0;
  for (const typo of typos) {
    const path = `/api/users/search?limit=20&q=${encodeURIComponent(typo)}`;
    const { pagination } = JSON.parse(await ask(connection, { method: "GET", path, token: bench.token(ASKING) })) as {
      readonly pagination: { readonly total: number; readonly totalIsExact: boolean };
    };
    if (!pagination.totalIsExact && pagination.total < 20) givenUp += 1;
  }
  return `${givenUp} of ${typos.length} texts with typos were answered without the names that are near: no more time`;
}

async function societyNotes(small: Place, large: Place): Promise<string[]> {
  return await Promise.all(
    [small, large].map(async ({ society, database }) => {
      const { rows } = await database.client.query<{ size: string; most: string }>(
        `select pg_size_pretty(pg_database_size(current_database())) as size, (select max(followers_count) from follow_counts) as most`,
      );
      return `${society.people} people, ${society.follows} follows, at most ${rows[0]?.most} of one: made in ${society.seconds.toFixed(0)} s, ${rows[0]?.size}`;
    }),
  );
}
