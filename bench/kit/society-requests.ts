/** What is asked of a society: texts that people type, places in long lists, and who looks at whom. */

import { rows, sql } from "#src/db/sql";
import type { Db } from "#src/db/pool";
import { searchByPrefix } from "#src/features/discovery/search.sql";
import type { UserId } from "#src/kernel/ids";
import { encodeCursor } from "#src/kernel/page";
import type { RequestText } from "./http-connection.ts";
import { chanceFrom, type Chance } from "./names.ts";
import { userIdOf } from "./seed.ts";
import { VIEWERS } from "./follow-rows.ts";
import type { Society } from "./society.ts";

const TEXTS = 200;
/** From so many that begin so a search looks no further, whoever asks; up to so few it always does. */
const SURELY_ENOUGH = 30;
const SURELY_FEW = 10;
const REQUESTS = 1_000;
/** Places around the middle of a list and before its end. */
const PLACES = 200;
const PAGE = 20;

/** What people type: beginnings of names that many bear, and names with a typo. */
export interface Texts {
  readonly prefixes: readonly string[];
  readonly typos: readonly string[];
}

/** Somebody who looks at somebody that they may see. */
export interface Pair {
  readonly viewer: number;
  readonly target: string;
}

/** The same texts for both, and each such in both. */
export async function textsOf(small: Db, large: Db): Promise<Texts> {
  const chance = chanceFrom(7);
  const prefixes = await collected(await namesIn(small), async ({ username, display_name }) => {
    const name = chance() < 0.5 ? username : display_name;
    const prefix = Array.from(name)
      .slice(0, 1 + Math.floor(chance() * 5))
      .join("")
      .trim();
    return (await countOf(small, prefix, SURELY_ENOUGH)) === SURELY_ENOUGH ? prefix : undefined;
  });
  const typos = await collected(await namesIn(large), async ({ display_name }) => {
    const typo = typoIn(chance, chance() < 0.5 ? display_name : (display_name.split(" ")[0] ?? ""));
    if (typo === undefined) return undefined;
    const counts = await Promise.all([small, large].map((db) => countOf(db, typo, SURELY_FEW + 1)));
    return Math.max(...counts) <= SURELY_FEW ? typo : undefined;
  });
  return { prefixes, typos };
}

interface Names {
  readonly username: string;
  readonly display_name: string;
}

async function namesIn(db: Db): Promise<Names[]> {
  return await rows<Names>(db, sql`select username, display_name from users order by hashtext(id::text) limit ${10 * TEXTS}`);
}

/** Texts made of these until there are enough, each once. */
async function collected(names: readonly Names[], make: (names: Names) => Promise<string | undefined>): Promise<string[]> {
  const found = new Set<string>();
  for (const one of names) {
    const text = found.size < TEXTS ? await make(one) : undefined;
    if (text !== undefined) found.add(text);
  }
  if (found.size === 0) throw new Error("no name gives such a text");
  return [...found];
}

/** How many names begin so, at most `limit`. */
async function countOf(db: Db, prefix: string, limit: number): Promise<number> {
  const viewer = { userId: userIdOf(VIEWERS) as UserId, role: "user", restricted: false, limited: new Set<never>() } as const;
  return (await searchByPrefix(db, { viewer, prefix, after: undefined, offset: 0, limit: 0, countLimit: limit })).total;
}

/** Two letters changed places, one is left out, or one stands twice; never the first. */
function typoIn(chance: Chance, name: string): string | undefined {
  const letters = Array.from(name);
  if (letters.length < 5) return undefined;
  const at = 1 + Math.floor(chance() * (letters.length - 2));
  const [one = "", next = ""] = [letters[at], letters[at + 1]];
  const wrong = [next + one, next, one + one + next][Math.floor(chance() * 3)] ?? "";
  return `${letters.slice(0, at).join("")}${wrong}${letters.slice(at + 2).join("")}`;
}

/** Viewers and people of any kind that the policy lets them see. */
export async function pairsOf(db: Db, { people }: Society): Promise<Pair[]> {
  const chance = chanceFrom(11);
  const wanted = Array.from({ length: REQUESTS }, () => ({
    viewer: viewerBy(chance),
    target: userIdOf(1 + Math.floor(chance() * people)),
  }));
  const seen = await rows<{ place: number }>(
    db,
    sql`select pair.place::int as place
        from unnest(${wanted.map(({ viewer }) => userIdOf(viewer))}::uuid[], ${wanted.map(({ target }) => target)}::uuid[])
          with ordinality as pair (viewer, target, place)
        where (select p.shown from people_seen_by(pair.viewer, 'user') p where p.id = pair.target)`,
  );
  return seen.flatMap(({ place }) => wanted[place - 1] ?? []);
}

function viewerBy(chance: Chance): number {
  return 1 + Math.floor(chance() * VIEWERS);
}

/** Requests of a kind, by whom the tokens are. */
export interface Asking {
  readonly db: Db;
  readonly society: Society;
  readonly texts: Texts;
  readonly pairs: readonly Pair[];
  readonly token: (number: number) => string;
}

/** What is asked of each kind, a page of 20 where it is a list. */
export async function requestsOf({ db, society, texts, pairs, token }: Asking): Promise<Record<Kind, RequestText[]>> {
  const chance = chanceFrom(13);
  const [star = 0] = society.stars;
  const list = `/api/users/${userIdOf(star)}/followers?limit=${PAGE}`;
  const middle = await cursorsIn(db, star, 0.5);
  const last = await cursorsIn(db, star, 1);
  const asked = (path: (place: number) => string): RequestText[] =>
    Array.from({ length: REQUESTS }, (_, place) => ({ method: "GET", path: path(place), token: token(viewerBy(chance)) }));
  const oneOf = (values: readonly string[]): string => encodeURIComponent(values[Math.floor(chance() * values.length)] ?? "");
  return {
    "prefix search": asked(() => `/api/users/search?limit=${PAGE}&q=${oneOf(texts.prefixes)}`),
    "typo search": asked(() => `/api/users/search?limit=${PAGE}&q=${oneOf(texts.typos)}`),
    "followers, first page": asked(() => list),
    "followers, in the middle": asked(() => `${list}&cursor=${oneOf(middle)}`),
    "followers, last page": asked(() => `${list}&cursor=${oneOf(last)}`),
    profile: pairs.map(({ viewer, target }) => ({ method: "GET", path: `/api/users/${target}`, token: token(viewer) })),
    suggestions: asked(() => `/api/users/suggestions?limit=${PAGE}`),
  };
}

export type Kind =
  | "prefix search"
  | "typo search"
  | "followers, first page"
  | "followers, in the middle"
  | "followers, last page"
  | "profile"
  | "suggestions";

/** Cursors of somebody's followers: those whose place is up to 200 before this share of the list. */
async function cursorsIn(db: Db, number: number, share: number): Promise<string[]> {
  const owner = userIdOf(number);
  const places = await rows<{ changed_us: string; id: string }>(
    db,
    sql`with wanted as (select floor(count(*) * ${share}::float8)::bigint as upto from follows where followee_id = ${owner}::uuid and state = 'accepted')
        select f.follower_id as id, (extract(epoch from f.changed_at) * 1000000)::bigint::text as changed_us
        from follows f
        where f.followee_id = ${owner}::uuid and f.state = 'accepted'
        order by f.changed_at desc, f.follower_id desc
        offset (select greatest(0, upto - ${PLACES}) from wanted) limit ${PLACES - PAGE}`,
  );
  return places.map(({ changed_us, id }) => encodeCursor(`followers:${owner}`, [changed_us, id]));
}
