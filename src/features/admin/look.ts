/** Looking at accounts and their sessions. */

import type { Db } from "#src/db/pool";
import { userNotFound, type Status } from "#src/features/accounts/public";
import { listSessionsOf, type SessionView } from "#src/features/sessions/public";
import { isUuid } from "#src/kernel/ids";
import { decodeCursor, encodeCursor, type Page } from "#src/kernel/page";
import { inputInvalid, Problem } from "#src/kernel/problem";
import { selectUser, selectUsers } from "./admin.sql.ts";
import { adminUserView, type AdminUserView } from "./admin.views.ts";

interface Needs {
  readonly db: Db;
}

/** What to list. */
export interface UserQuery {
  readonly q?: string | undefined;
  readonly status?: Status | undefined;
  readonly role?: string | undefined;
  readonly emailVerified?: boolean | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
}

/** Newest first. @throws Problem `input.invalid` for a cursor of another list */
export async function listUsers(deps: Needs, query: UserQuery): Promise<Page<AdminUserView>> {
  const { q: prefix, status, role, emailVerified, limit, cursor } = query;
  const beforeId = cursor === undefined ? undefined : readCursor(cursor);
  const found = await selectUsers(deps.db, { prefix, status, role, emailVerified, beforeId, limit: limit + 1 });
  const shown = found.slice(0, limit);
  const last = found.length > limit ? shown.at(-1) : undefined;
  return { data: shown.map(adminUserView), pagination: { nextCursor: last === undefined ? null : encodeCursor("admin-users", [last.id]) } };
}

/** @throws Problem `user.not_found` */
export async function readUser(deps: Needs, userId: string): Promise<AdminUserView> {
  const found = await selectUser(deps.db, userId);
  if (found === undefined) throw new Problem(userNotFound);
  return adminUserView(found);
}

/** The newest 100 that stand. @throws Problem `user.not_found` */
export async function readSessions(deps: Parameters<typeof listSessionsOf>[0], userId: string): Promise<readonly SessionView[]> {
  await readUser(deps, userId);
  return await listSessionsOf(deps, userId);
}

function readCursor(cursor: string): string {
  const [id] = decodeCursor("admin-users", cursor, 1);
  if (id !== undefined && isUuid(id)) return id;
  throw new Problem(inputInvalid, { errors: [{ path: "query.cursor", message: "not a cursor of this list; begin again without one" }] });
}
