/** The end of a declaration: what it imposed is lifted or kept, and it is remembered that it ended. */

import type { Db } from "#src/db/pool";
import { inTx, type Tx } from "#src/db/tx";
import { securityEvent, type Log } from "#src/kernel/log";
import type { Applied } from "./asked.ts";
import type { Declaration } from "./declare.ts";
import type { Declared, DeclarationName } from "./declared.rows.ts";
import type { EndBody } from "./declared.schemas.ts";
import { lockDeclaration, selectDeclared, writeEnd } from "./declared.sql.ts";
import { endIncarnation, type Ending } from "./end-incarnation.ts";
import { judgeEnd, seenOf, type Seen } from "./fence.ts";
import { lockAccounts } from "./parties.ts";

interface Needs {
  readonly db: Db;
  readonly log: Log;
}

/**
 * Ends an incarnation, and any older one that nobody ended. One that was never seen is remembered as ended, so that its
 * wish is refused when it comes late. Ending again changes nothing and says the same.
 * @throws Problem `restriction.superseded`
 */
export async function endDeclaration(deps: Needs, name: DeclarationName, end: EndBody): Promise<Declaration> {
  const { outcome, declared, told } = await inTx(deps.db, (tx) => applyEnd(tx, name, end), { durable: true });
  for (const event of told) securityEvent(deps.log, event);
  return { outcome, declared, changed: told.length > 0 };
}

async function applyEnd(tx: Tx, name: DeclarationName, end: EndBody): Promise<Applied> {
  await lockDeclaration(tx, name);
  const before = await look(tx, name, end.uid);
  judgeEnd(before, end);
  const ended = before.own?.ended_how ?? null;
  if (before.own !== undefined && ended !== null) return { outcome: ended, declared: before.own, told: [] };
  await lockAccounts(
    tx,
    victims(before, end).flatMap(({ user_id }) => user_id ?? []),
  );
  const how = end.policy === "lift" ? "lifted" : "kept";
  const ending: Ending = { how, note: end.note, facts: { ...name, uid: end.uid, generation: end.generation } };
  const told = [];
  // Read again, now that nobody else can touch what they imposed.
  for (const victim of victims(await look(tx, name, end.uid), end)) told.push(...(await endIncarnation(tx, victim, ending)));
  if (before.own === undefined) {
    await writeEnd(tx, {
      ...name,
      uid: end.uid,
      generation: end.generation,
      createdAt: new Date(end.createdAt),
      how,
      firstEnforcedAt: null,
    });
  }
  const { own } = await look(tx, name, end.uid);
  if (own === undefined) throw new Error("the end was not written");
  return { outcome: how, declared: own, told };
}

async function look(tx: Tx, name: DeclarationName, uid: string): Promise<Seen> {
  return seenOf(await selectDeclared(tx, name, uid), uid);
}

/** The incarnation itself with the generation of its end; and a live older one: with this end nothing of that name is declared any more. */
function victims({ own, live }: Seen, end: EndBody): Declared[] {
  const createdAt = own?.object_created_at ?? new Date(end.createdAt);
  const older = live !== undefined && live.object_created_at < createdAt ? [live] : [];
  return own === undefined ? older : [{ ...own, generation: end.generation }, ...older];
}
