/** How a decision is put on record. */

import { createHash } from "node:crypto";
import type { Tx } from "#src/db/tx";
import { systemClock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { insertDetails, insertEntry } from "./audit.sql.ts";

/** A code, an id, a number: nothing that names a person in clear. */
type Fact = string | number | boolean | null | readonly string[];

/** One decision. */
export interface AuditEntry {
  /** Who decided; null when the service did so by itself. */
  readonly actorId: string | null;
  /** `<noun>.<past_tense>`, e.g. `restriction.imposed`. */
  readonly action: `${Lowercase<string>}.${Lowercase<string>}`;
  /** The user whom the decision is about. */
  readonly subjectId: string;
  /** Ids, codes, instants as ISO text: what must outlive the subject's erasure. */
  readonly facts: Readonly<Record<string, Fact>>;
  /** Personal text, erasable: messages, notes. Empty or left out: none is kept. */
  readonly details?: Readonly<Record<string, string>>;
}

/** Adds an entry to the log and its personal text to the details (line 6 of the lock order). */
export async function appendAudit(tx: Tx, entry: AuditEntry): Promise<void> {
  const id = newUuid(systemClock);
  const content = contentOf(entry.details);
  await Promise.all([
    insertEntry(tx, {
      id,
      actorId: entry.actorId,
      action: entry.action,
      subjectId: entry.subjectId,
      facts: entry.facts,
      detailsHash: content === undefined ? null : createHash("sha256").update(content).digest(),
    }),
    content === undefined ? undefined : insertDetails(tx, { auditId: id, userId: entry.subjectId, content }),
  ]);
}

function contentOf(details: AuditEntry["details"]): Buffer | undefined {
  if (details === undefined || Object.keys(details).length === 0) return undefined;
  return Buffer.from(JSON.stringify(details), "utf8");
}
