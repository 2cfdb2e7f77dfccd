/** Who was in whose place: what admins can see of each other. */

import { z } from "zod";
import type { Db } from "#src/db/pool";
import { selectImpersonations, type ListedImpersonation } from "#src/features/sessions/public";
import { isUuid } from "#src/kernel/ids";
import { decodeCursor, encodeCursor, type Page } from "#src/kernel/page";
import { inputInvalid, Problem } from "#src/kernel/problem";
import { selectReasons } from "./impersonations.sql.ts";

export const impersonationSchema = z.object({
  id: z.uuid().describe("Of the session"),
  userId: z.uuid(),
  impersonatorId: z.uuid(),
  reason: z.string().nullable().describe("Null once it was erased with the account"),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  endedAt: z.iso.datetime().nullable().describe("When it ended before its time, if it did"),
});

export type ImpersonationView = z.infer<typeof impersonationSchema>;

/** The newest first, of the last 90 days. @throws Problem `input.invalid` for a cursor of another list */
export async function listImpersonations(
  deps: { readonly db: Db },
  query: { readonly userId?: string | undefined; readonly limit: number; readonly cursor?: string | undefined },
): Promise<Page<ImpersonationView>> {
  const { userId, limit, cursor } = query;
  const beforeId = cursor === undefined ? undefined : readCursor(cursor);
  const found = await selectImpersonations(deps.db, { userId, beforeId, limit: limit + 1 });
  const shown = found.slice(0, limit);
  const reasons = await selectReasons(deps.db, shown);
  const last = found.length > limit ? shown.at(-1) : undefined;
  return {
    data: shown.map((one) => view(one, reasons.get(one.id))),
    pagination: { nextCursor: last === undefined ? null : encodeCursor("impersonations", [last.id]) },
  };
}

function view(one: ListedImpersonation, reason: string | undefined): ImpersonationView {
  return {
    id: one.id,
    userId: one.user_id,
    impersonatorId: one.impersonator_id,
    reason: reason ?? null,
    createdAt: one.created_at.toISOString(),
    expiresAt: one.expires_at.toISOString(),
    endedAt: one.revoked_at?.toISOString() ?? null,
  };
}

function readCursor(cursor: string): string {
  const [id] = decodeCursor("impersonations", cursor, 1);
  if (id !== undefined && isUuid(id)) return id;
  throw new Problem(inputInvalid, { errors: [{ path: "query.cursor", message: "not a cursor of this list; begin again without one" }] });
}
