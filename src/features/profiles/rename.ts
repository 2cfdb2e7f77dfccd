/** Another username. */

import { isSameName, renameWait, usernameChangedOften, writeUsername } from "#src/features/accounts/public";
import { addNotice } from "#src/features/notices/public";
import { requireFresh, stepUpRequired } from "#src/features/sessions/public";
import type { Tx } from "#src/db/tx";
import type { Actor } from "#src/kernel/actor";
import { Problem } from "#src/kernel/problem";

/** Enough for a slip and its correction; each keeps a name from others for a while. */
const OFTEN_ENOUGH = { changes: 2, days: 30 };

/**
 * Renames the account, whose version row the caller holds, and tells its owner by mail: whoever took a session over cannot do it unseen.
 * Another case of the same name is no other name: it is neither counted nor told.
 * @throws Problem `step_up.required`, `username.changed_often` with the seconds to wait, `username.taken`
 */
export async function rename(
  tx: Tx,
  wish: Pick<Actor, "userId"> & Partial<Pick<Actor, "sessionId">> & { readonly from: string; readonly to: string },
): Promise<void> {
  const { userId, sessionId, from, to } = wish;
  if (sessionId === undefined) throw new Problem(stepUpRequired);
  await requireFresh(tx, sessionId);
  const isOther = !isSameName(from, to);
  const waitSeconds = isOther ? await renameWait(tx, userId, OFTEN_ENOUGH) : undefined;
  if (waitSeconds !== undefined) {
    const possibleAt = new Date(Date.now() + waitSeconds * 1000).toISOString();
    throw new Problem(usernameChangedOften, { retryAfterSeconds: Math.ceil(waitSeconds), extensions: { possibleAt } });
  }
  await writeUsername(tx, userId, { from, to });
  if (isOther) await addNotice(tx, userId, { type: "security.username_changed", data: { from, to } });
}
