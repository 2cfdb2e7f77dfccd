/** What every restriction goes through, whoever decided: its row and all that follows from it, within one transaction. */

import { REASON_POLICY, type RestrictionReason } from "#src/contract/restriction-reasons";
import { appendAudit } from "#src/features/audit/public";
import { setStatus } from "#src/features/accounts/public";
import { announceChange } from "#src/features/sessions/public";
import type { Tx } from "#src/db/tx";
import type { Capability } from "#src/kernel/actor";
import { cutOff, noticeImposed, noticeOver, tellRestored, tellRestricted, tellWhyImposed, tellWhyLifted } from "./announcements.ts";
import type { Kind, RestrictionRow } from "./restrictions.rows.ts";
import { insertRestriction, writeLift } from "./restrictions.sql.ts";
import type { Term } from "./term.ts";

/** Who decided, and what the audit log keeps of it beside the decision itself. */
export interface Decider {
  /** Null when it was no user of ours. */
  readonly actorId: string | null;
  readonly facts?: Parameters<typeof appendAudit>[1]["facts"];
}

/** A restriction to be made. The caller holds the account's locks (lines 2 and 3) and has settled that it may be. */
export interface Enactment {
  readonly id: string;
  readonly userId: string;
  readonly kind: Kind;
  readonly reason: RestrictionReason;
  /** Shown to the user. */
  readonly message: string | null;
  readonly capabilities: readonly Capability[];
  readonly term: Term;
  /** The database's time, read under the locks. */
  readonly now: Date;
  readonly by: Decider;
  /** For the record only. */
  readonly note?: string;
  /** Stands or is planned, and is lifted by the same stroke. */
  readonly replaces?: RestrictionRow;
}

/** What came of it. */
export interface Enacted {
  readonly restriction: RestrictionRow;
  /** Sessions that it ended. */
  readonly sessionsRevoked: number;
}

/**
 * Writes the restriction, and the lift of the one it replaces, before the standing is worked out once: no reader sees the
 * account without either. Of a replacement that is in force the user is told only what changed for them.
 */
export async function enact(tx: Tx, made: Enactment): Promise<Enacted> {
  const { replaces } = made;
  const lifted = replaces === undefined ? undefined : await writeLift(tx, replaces.id, liftOf(made));
  const [restriction, standing] = await Promise.all([write(tx, made), setStatus(tx, made.userId)]);
  const inForce = restriction.start_announced_at !== null;
  const goesOn = inForce && hasCut(replaces);
  const isOver = lifted !== undefined && hadBegun(lifted) && !inForce;
  // Sent together, run in this order, which that of ids is as well.
  const [sessionsRevoked] = await Promise.all([
    cutOff(tx, restriction, inForce && !goesOn),
    isOver ? tellRestored(tx, lifted, standing) : undefined,
    tellRestricted(tx, restriction, standing),
    tellWhyImposed(tx, restriction),
    recordImposed(tx, restriction, made),
    lifted === undefined ? undefined : sayReplaced(tx, lifted, { by: made.by, note: REPLACED, replacedBy: restriction.id }),
    isOver ? noticeOver(tx, lifted, "lifted") : undefined,
    inForce && !(goesOn && looksTheSame(restriction, replaces)) ? noticeImposed(tx, restriction) : undefined,
  ]);
  return { restriction, sessionsRevoked };
}

/** A restriction to be lifted. The caller holds the account's locks and has seen that it stands or is planned. */
export interface Withdrawal {
  readonly restriction: RestrictionRow;
  /** The database's time, read under the locks. */
  readonly now: Date;
  readonly by: Decider;
  /** Why, for the record; not shown to the user. */
  readonly note: string;
}

/** Lifts one restriction; others of the account still stand. Of one that never began the user is told nothing. */
export async function withdraw(tx: Tx, { restriction, now, by, note }: Withdrawal): Promise<RestrictionRow> {
  const lifted = await writeLift(tx, restriction.id, { lifted_at: now, lifted_by: by.actorId, lift_note: note });
  const standing = await setStatus(tx, restriction.user_id);
  await Promise.all([
    announceChange(tx, restriction.user_id),
    tellRestored(tx, lifted, standing),
    tellWhyLifted(tx, lifted, note),
    recordLifted(tx, lifted, { by, note }),
    hadBegun(lifted) ? noticeOver(tx, lifted, "lifted") : undefined,
  ]);
  return lifted;
}

const REPLACED = "replaced by another version of it";

function liftOf({ now, by }: Enactment): Parameters<typeof writeLift>[2] {
  return { lifted_at: now, lifted_by: by.actorId, lift_note: REPLACED };
}

async function write(tx: Tx, made: Enactment): Promise<RestrictionRow> {
  const { startsAt, expiresAt } = made.term;
  return await insertRestriction(tx, {
    id: made.id,
    user_id: made.userId,
    kind: made.kind,
    capabilities: [...new Set(made.capabilities)].sort(),
    reason: made.reason,
    reason_policy: REASON_POLICY,
    message: made.message,
    imposed_by: made.by.actorId,
    starts_at: startsAt,
    expires_at: expiresAt,
    // One that begins now is told by this transaction; a planned one waits for the sweep.
    start_announced_at: startsAt <= made.now ? made.now : null,
    created_at: made.now,
  });
}

/** Whether it has ended the account's sessions already, so that what follows on it need not. */
function hasCut(restriction: RestrictionRow | undefined): boolean {
  return restriction !== undefined && restriction.kind !== "limit" && restriction.start_announced_at !== null;
}

function looksTheSame(one: RestrictionRow, other: RestrictionRow | undefined): boolean {
  return other !== undefined && shownOf(one) === shownOf(other);
}

/** What the user is told of it. */
function shownOf({ kind, capabilities, reason, message, starts_at, expires_at }: RestrictionRow): string {
  return JSON.stringify([kind, capabilities, reason, message, starts_at, expires_at]);
}

function hadBegun(restriction: RestrictionRow): boolean {
  return restriction.lifted_at !== null && restriction.starts_at <= restriction.lifted_at;
}

async function recordImposed(tx: Tx, restriction: RestrictionRow, { by, note }: Enactment): Promise<void> {
  await appendAudit(tx, {
    actorId: by.actorId,
    action: "restriction.imposed",
    subjectId: restriction.user_id,
    facts: {
      restrictionId: restriction.id,
      kind: restriction.kind,
      capabilities: restriction.capabilities,
      reason: restriction.reason,
      reasonPolicy: restriction.reason_policy,
      startsAt: restriction.starts_at.toISOString(),
      expiresAt: restriction.expires_at?.toISOString() ?? null,
      ...by.facts,
    },
    details: { ...(restriction.message === null ? {} : { message: restriction.message }), ...(note === undefined ? {} : { note }) },
  });
}

async function sayReplaced(tx: Tx, replaced: RestrictionRow, record: LiftRecord): Promise<void> {
  await Promise.all([recordLifted(tx, replaced, record), tellWhyLifted(tx, replaced, record.note)]);
}

interface LiftRecord {
  readonly by: Decider;
  readonly note: string;
  readonly replacedBy?: string;
}

async function recordLifted(tx: Tx, restriction: RestrictionRow, { by, note, replacedBy }: LiftRecord): Promise<void> {
  await appendAudit(tx, {
    actorId: by.actorId,
    action: "restriction.lifted",
    subjectId: restriction.user_id,
    facts: {
      restrictionId: restriction.id,
      kind: restriction.kind,
      begun: hadBegun(restriction),
      ...(replacedBy === undefined ? {} : { replacedBy }),
      ...by.facts,
    },
    details: { note },
  });
}
