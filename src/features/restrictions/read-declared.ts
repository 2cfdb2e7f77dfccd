/** Reading what was declared. */

import type { Db } from "#src/db/pool";
import { Problem } from "#src/kernel/problem";
import type { Declared, DeclarationName } from "./declared.rows.ts";
import { selectDeclared, selectLivePage } from "./declared.sql.ts";
import { restrictionNotFound } from "./restrictions.errors.ts";

interface Needs {
  readonly db: Db;
}

/** The live incarnation of a declaration, else the last that ended. @throws Problem `restriction.not_found` */
export async function readDeclared(deps: Needs, name: DeclarationName): Promise<Declared> {
  // No incarnation has an empty uid, so the live one comes first, then the newest.
  const [found] = await selectDeclared(deps.db, name, "");
  if (found === undefined) throw new Problem(restrictionNotFound);
  return found;
}

/** A page of the live ones of a source. */
export interface DeclaredPage {
  readonly data: readonly Declared[];
  /** For the next page; null on the last. */
  readonly nextAfter: string | null;
}

/** @param page.after the `nextAfter` of the page before */
export async function listDeclared(
  deps: Needs,
  page: { readonly source: string; readonly after?: string | undefined; readonly limit: number },
): Promise<DeclaredPage> {
  const { source, after = "", limit } = page;
  const found = await selectLivePage(deps.db, { source, after, limit: limit + 1 });
  const data = found.slice(0, limit);
  return { data, nextAfter: found.length > limit ? (data.at(-1)?.external_id ?? null) : null };
}
