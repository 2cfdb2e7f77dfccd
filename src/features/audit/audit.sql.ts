/** Every write of `audit_log` and `audit_details`. */

import { affected, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";

/** A row of the log. `detailsHash` is the SHA-256 of the details' content as stored. */
interface NewEntry {
  readonly id: string;
  readonly actorId: string | null;
  readonly action: string;
  readonly subjectId: string;
  readonly facts: object;
  readonly detailsHash: Buffer | null;
}

export async function insertEntry(tx: Tx, entry: NewEntry): Promise<void> {
  await affected(
    tx,
    sql`insert into audit_log (id, actor_id, action, subject_id, facts, details_hash)
        values (${entry.id}::uuid, ${entry.actorId}::uuid, ${entry.action}, ${entry.subjectId}::uuid,
          ${JSON.stringify(entry.facts)}::jsonb, ${entry.detailsHash}::bytea)`,
  );
}

/** @param details.content UTF-8 JSON */
export async function insertDetails(
  tx: Tx,
  details: { readonly auditId: string; readonly userId: string; readonly content: Buffer },
): Promise<void> {
  await affected(
    tx,
    sql`insert into audit_details (audit_id, user_id, content)
        values (${details.auditId}::uuid, ${details.userId}::uuid, ${details.content}::bytea)`,
  );
}
