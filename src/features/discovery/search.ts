/** Finding people by their names: those that begin so, then those that are near to what was typed. */

import type { Db } from "#src/db/pool";
import { readPeople, type PersonView } from "#src/features/profiles/public";
import { isUuid } from "#src/kernel/ids";
import { decodeCursor, encodeCursor, type Page } from "#src/kernel/page";
import { inputInvalid, Problem } from "#src/kernel/problem";
import type { Viewer } from "#src/policy/decide";
import { searchNear, type NearMatch } from "./near.sql.ts";
import { searchByPrefix, type Match } from "./search.sql.ts";

interface Needs {
  readonly db: Db;
}

/** What is sought by whom, and which page: by cursor, or by number from 1. */
export interface SearchInput {
  readonly viewer: Viewer;
  readonly prefix: string;
  readonly limit: number;
  readonly cursor?: string | undefined;
  readonly page?: number | undefined;
}

/** The pagination of a search always says how many there are. */
export interface Found extends Page<PersonView> {
  readonly pagination: {
    readonly nextCursor: string | null;
    readonly total: number;
    readonly totalIsExact: boolean;
    readonly pages: number;
  };
}

/** Totals are counted up to here: among a million people each name is a row somewhere else, and a thousand took as long as the search itself. */
const COUNTED = 200;
/** Names that begin so are enough from here on; the same for every page, so that pages fit together. */
const ENOUGH = 20;
/** The nearest, at most. */
const NEAREST = 100;
const NEAR_TIMEOUT_MS = 200;
/** At a time in one process; beyond, a search is answered without. */
const NEAR_AT_ONCE = 4;
let nearRunning = 0;

/**
 * Usernames that begin so, then display names that do, each in the order of their folded bytes; where those are few, names that
 * are near, the nearest first.
 * @throws Problem `input.invalid` for a cursor of another search
 */
export async function search(deps: Needs, input: SearchInput): Promise<Found> {
  const { viewer, prefix, limit } = input;
  const list = `search:${prefix}`;
  const after = input.cursor === undefined ? undefined : readCursor(list, input.cursor);
  const { found, near } = await findAll(deps, input, after);
  const offset = Math.max(0, offsetOf(input) - found.total);
  const matches = [...found.matches, ...pageOfNear(near?.slice(0, NEAREST) ?? [], after, offset)];
  const shown = matches.slice(0, limit);
  const last = matches.length > limit ? shown.at(-1) : undefined;
  const total = Math.min(found.total, COUNTED) + Math.min(near?.length ?? 0, NEAREST);
  return {
    data: await readPeople(deps, { viewer, ids: shown.map(({ id }) => id), action: "find" }),
    pagination: {
      nextCursor: last === undefined ? null : encodeCursor(list, [String(last.rank), last.key, last.id]),
      total,
      totalIsExact: found.total <= COUNTED && isWhole(near),
      pages: Math.ceil(total / limit),
    },
  };
}

interface Both {
  readonly found: { readonly total: number; readonly matches: Match[] };
  readonly near: NearMatch[] | undefined;
}

/** The page of those that begin so, and all that are near where they are wanted. */
async function findAll(deps: Needs, input: SearchInput, after: Match | undefined): Promise<Both> {
  const { viewer, prefix, limit } = input;
  const isPastPrefix = after?.rank === 3;
  const begin = isPastPrefix ? { after: undefined, offset: 0, limit: 0 } : { after, offset: offsetOf(input), limit: limit + 1 };
  const found = await searchByPrefix(deps.db, { viewer, prefix, ...begin, countLimit: COUNTED + 1 });
  const near = found.total < ENOUGH || isPastPrefix ? await findNear(deps, { viewer, text: prefix }) : [];
  return { found, near };
}

function offsetOf({ page = 1, limit }: SearchInput): number {
  return (page - 1) * limit;
}

function isWhole(near: readonly NearMatch[] | undefined): boolean {
  return near !== undefined && near.length <= NEAREST && near[0]?.cut !== true;
}

/** One more than are shown, undefined where there was no time for them. Fewer than three letters are near to everything. */
async function findNear(
  deps: Needs,
  { viewer, text }: { readonly viewer: Viewer; readonly text: string },
): Promise<NearMatch[] | undefined> {
  if ((text.match(/[\p{L}\p{N}]/gu)?.length ?? 0) < 3) return [];
  if (nearRunning >= NEAR_AT_ONCE) return undefined;
  nearRunning += 1;
  try {
    return await searchNear(deps.db, { viewer, text, limit: NEAREST + 1, timeoutMs: NEAR_TIMEOUT_MS });
  } finally {
    nearRunning -= 1;
  }
}

function pageOfNear(near: readonly Match[], after: Match | undefined, offset: number): Match[] {
  if (after?.rank !== 3) return near.slice(offset);
  return near.filter(({ key }) => Buffer.compare(Buffer.from(key), Buffer.from(after.key)) > 0);
}

function readCursor(list: string, cursor: string): Match {
  const [rank, key = "", id = ""] = decodeCursor(list, cursor, 3);
  if ((rank !== "1" && rank !== "2" && rank !== "3") || !isUuid(id)) {
    throw new Problem(inputInvalid, {
      errors: [{ path: "query.cursor", message: "not a cursor of this search; begin again without one" }],
    });
  }
  return { rank: Number(rank) as Match["rank"], key, id };
}
