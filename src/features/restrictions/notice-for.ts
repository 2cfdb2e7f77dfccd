/** What a restricted account is told when it is turned away. */

import type { Db } from "#src/db/pool";
import type { Tx } from "#src/db/tx";
import { selectStrictest } from "./restrictions.sql.ts";
import { restrictionNotice, type RestrictionNotice } from "./restrictions.views.ts";

/** The strictest restriction in force at this moment; nothing when there is none. */
export async function noticeFor(on: Db | Tx, userId: string): Promise<RestrictionNotice | undefined> {
  const strictest = await selectStrictest(on, userId);
  return strictest === undefined ? undefined : restrictionNotice(strictest);
}
