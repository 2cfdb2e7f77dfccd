/** Listing, naming and removing one's own passkeys. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { lockSubject } from "#src/events/append";
import { hasWayIn, lockFacts } from "#src/features/accounts/public";
import { addNotice } from "#src/features/notices/public";
import { distrustDevices, requireFresh, revokeOthers } from "#src/features/sessions/public";
import type { Actor } from "#src/kernel/actor";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { passkeyLast, passkeyNotFound } from "./factors.errors.ts";
import { passkeyView, type PasskeyView } from "./passkey-view.ts";
import { deletePasskey, selectPasskeys, writePasskeyName } from "./passkeys.sql.ts";
import { dropCodesOfNoFactor } from "./totp-factor.ts";

interface Needs {
  readonly db: Db;
  readonly log: Log;
  readonly providers: { readonly all: readonly { readonly id: string }[] };
}

/** The oldest first. */
export async function listPasskeys({ db }: Pick<Needs, "db">, { userId }: Pick<Actor, "userId">): Promise<PasskeyView[]> {
  return (await selectPasskeys(db, userId)).map(passkeyView);
}

/** @throws Problem `passkey.not_found` also for those of others */
export async function renamePasskey(
  { db }: Pick<Needs, "db">,
  input: { readonly actor: Pick<Actor, "userId">; readonly id: string; readonly name: string },
): Promise<PasskeyView> {
  const renamed = await inTx(db, (tx) => writePasskeyName(tx, { id: input.id, userId: input.actor.userId, name: input.name }));
  if (renamed === undefined) throw new Problem(passkeyNotFound);
  return passkeyView(renamed);
}

/** Removes one, and the recovery codes with the last factor; other sessions end. @throws Problem `passkey.not_found`, `passkey.last_way_in`, `step_up.required` */
export async function removePasskey(
  deps: Needs,
  input: { readonly actor: Pick<Actor, "userId" | "sessionId">; readonly id: string },
): Promise<void> {
  const { userId, sessionId } = input.actor;
  await inTx(
    deps.db,
    async (tx) => {
      await lockSubject(tx, userId);
      await lockFacts(tx, userId);
      await requireFresh(tx, sessionId);
      if (!(await deletePasskey(tx, { id: input.id, userId }))) throw new Problem(passkeyNotFound);
      if (
        !(await hasWayIn(
          tx,
          userId,
          deps.providers.all.map(({ id: provider }) => provider),
        ))
      )
        throw new Problem(passkeyLast);
      await dropCodesOfNoFactor(tx, userId);
      await distrustDevices(tx, userId);
      await revokeOthers(tx, { userId, keptId: sessionId }, "factor_removed");
      await addNotice(tx, userId, { type: "security.factor_removed", data: { factor: "passkey" } });
    },
    { durable: true },
  );
  securityEvent(deps.log, { kind: "factor.removed", userId, sessionId, reason: "passkey" });
}
