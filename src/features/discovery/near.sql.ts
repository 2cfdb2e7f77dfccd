/** Search with typos: names that are near to what was typed, by trigrams. */

import type { Db } from "#src/db/pool";
import { row, rows, sql } from "#src/db/sql";
import { inTx, type Tx } from "#src/db/tx";
import { isStatementTimeout } from "#src/db/errors";
import type { Viewer } from "#src/policy/decide";
import type { Match } from "./search.sql.ts";

/** `cut`: there are more candidates than were looked at. */
export interface NearMatch extends Match {
  readonly cut: boolean;
}

export interface NearSearch {
  readonly viewer: Viewer;
  readonly text: string;
  readonly limit: number;
  /** Given up after this, in milliseconds. */
  readonly timeoutMs: number;
}

/**
 * So many are looked at, in the order of the table: a typo in a name that a tenth of all people bear would take seconds otherwise. Then
 * those near are not all there are, and the nearest among the older accounts.
 */
const CANDIDATES = 2_000;
/** The share of the typed trigrams that a name must have: two letters swapped in "michael" leave half of them. */
const LEAST_LIKENESS = 0.45;

/**
 * Names that hold something like the text and do not begin with it, the nearest first; undefined when the time was up. The order
 * is of the names alone, so pages fit together.
 *
 * Served by users_names_trigrams. In a transaction for its two settings, which end with it. The nearest are sorted first and asked
 * for by the policy one after the other until there are enough: the policy in the sorted query was asked of every candidate. Measured
 * with 300,000 people of 20 first names: 117 ms for a typo in one of these (1,400 without the bound on candidates).
 * A text without trigrams (signs only, or letters the database's locale does not know) would read the whole index, so it finds nobody.
 */
export async function searchNear(db: Db, search: NearSearch): Promise<NearMatch[] | undefined> {
  return await inTx(db, async (tx) => {
    await row(
      tx,
      sql`select set_config('statement_timeout', ${String(search.timeoutMs)}, true),
            set_config('pg_trgm.word_similarity_threshold', ${String(LEAST_LIKENESS)}, true)`,
    );
    try {
      return await selectNear(tx, search);
    } catch (error) {
      if (isStatementTimeout(error)) return undefined;
      throw error;
    }
  });
}

async function selectNear(tx: Tx, { viewer, text, limit }: NearSearch): Promise<NearMatch[]> {
  return await rows<NearMatch>(
    tx,
    sql`with sought as (
          select folded as low, folded || chr(1114111) as high, cardinality(show_trgm(folded)) >= 4 as has_letters
          from name_fold(${text}::text) folded
        ), candidates as materialized (
          select u.id, u.username, name_fold(u.username || ' ' || u.display_name) as names
          from users u
          where (select has_letters from sought)
            and (select low from sought) <% name_fold(u.username || ' ' || u.display_name)
            and not (lower(u.username) collate "C" >= (select low from sought) and lower(u.username) collate "C" < (select high from sought))
            and not (name_fold(u.display_name) collate "C" >= (select low from sought)
              and name_fold(u.display_name) collate "C" < (select high from sought))
          limit ${CANDIDATES}
        )
        select 3 as rank, n.key, n.id, (select count(*) from candidates) = ${CANDIDATES} as cut
        from (
          select to_char(10000 * ((select low from sought) <<-> c.names), 'FM00000') || lower(c.username) collate "C" as key, c.id
          from candidates c
          order by key
        ) n
        where (select p.findable from people_seen_by(${viewer.userId}::uuid, ${viewer.role}) p where p.id = n.id)
        order by n.key
        limit ${limit}`,
  );
}
