/** Whether an event is what it says: of the service whose topic it is and, where that is us, one that we wrote. */

import { isDeepStrictEqual } from "node:util";
import type { Db } from "#src/db/pool";
import { systemClock } from "#src/kernel/clock";
import { isUuid, uuidFloor } from "#src/kernel/ids";
import { EVENT_SOURCE, type Envelope } from "./cloud-event.ts";
import { selectSaid, type Said } from "./inbox.sql.ts";

/**
 * `late`: so old that the outbox need not know it any more. That it is not there means that its receipt came once; whoever
 * has to know of it knows.
 */
export type Origin = "genuine" | "late" | { readonly refused: string };

const OUTBOX_KEEPS_MS = 86_400_000;

/**
 * Anyone in the mesh who may publish to our topics could say anything in our name, and a push would carry it to a socket as
 * the truth; a receipt forged under a known id would lose the real event. So what claims to be ours is looked up (one
 * statement for all that is delivered at a moment) and must say what the outbox says.
 * @param sources who may speak on this topic
 */
export async function originOf(
  db: Db,
  heard: { readonly topic: string; readonly envelope: Envelope; readonly sources: ReadonlySet<string> },
): Promise<Origin> {
  const { topic, envelope, sources } = heard;
  if (!sources.has(envelope.source)) return { refused: "source: another service's topic" };
  if (envelope.source !== EVENT_SOURCE) return "genuine";
  if (!isUuid(envelope.id)) return { refused: "id: none of ours" };
  const said = await selectSaid(db, envelope.id);
  if (said !== undefined) return isSame(said, topic, envelope) ? "genuine" : { refused: "event: not what the outbox says" };
  const oldestKept = uuidFloor(new Date(systemClock.now().getTime() - OUTBOX_KEEPS_MS));
  return envelope.id < oldestKept ? "late" : { refused: "id: not in the outbox" };
}

/** The time is compared as a moment: a sidecar may write it in another form. */
function isSame(said: Said, topic: string, envelope: Envelope): boolean {
  return (
    said.topic === topic &&
    said.type === envelope.type &&
    said.subject === envelope.subject &&
    said.user_version === envelope.userversion &&
    said.occurred_at.getTime() === Date.parse(envelope.time ?? "") &&
    isDeepStrictEqual(said.data, envelope.data)
  );
}
