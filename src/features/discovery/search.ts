/** Finding people by how their name begins. */

import type { Db } from "#src/db/pool";
import { readPeople, type PersonView } from "#src/features/profiles/public";
import { isUuid } from "#src/kernel/ids";
import { decodeCursor, encodeCursor, type Page } from "#src/kernel/page";
import { inputInvalid, Problem } from "#src/kernel/problem";
import type { Viewer } from "#src/policy/decide";
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

/** Totals are counted up to here. */
const COUNTED = 1_000;

/**
 * Usernames that begin so, then display names that do, each in the order of their lower-case bytes.
 * @throws Problem `input.invalid` for a cursor of another search
 */
export async function search(deps: Needs, input: SearchInput): Promise<Found> {
  const { viewer, prefix, limit } = input;
  const list = `search:${prefix}`;
  const after = input.cursor === undefined ? undefined : readCursor(list, input.cursor);
  const offset = ((input.page ?? 1) - 1) * limit;
  const found = await searchByPrefix(deps.db, { viewer, prefix, after, offset, limit: limit + 1, countLimit: COUNTED + 1 });
  const shown = found.matches.slice(0, limit);
  const last = found.matches.length > limit ? shown.at(-1) : undefined;
  const total = Math.min(found.total, COUNTED);
  return {
    data: await readPeople(deps, { viewer, ids: shown.map(({ id }) => id), action: "find" }),
    pagination: {
      nextCursor: last === undefined ? null : encodeCursor(list, [String(last.rank), last.key, last.id]),
      total,
      totalIsExact: found.total <= COUNTED,
      pages: Math.ceil(total / limit),
    },
  };
}

function readCursor(list: string, cursor: string): Match {
  const [rank, key = "", id = ""] = decodeCursor(list, cursor, 3);
  if ((rank !== "1" && rank !== "2") || !isUuid(id)) {
    throw new Problem(inputInvalid, {
      errors: [{ path: "query.cursor", message: "not a cursor of this search; begin again without one" }],
    });
  }
  return { rank: rank === "1" ? 1 : 2, key, id };
}
