/** The `restrictions` table as Objection sees it, for reads and writes of that one table. */

import { Model } from "objection";
import type { RestrictionReason } from "#src/contract/restriction-reasons";
import type { Capability } from "#src/kernel/actor";

/** `limit` takes capabilities away; `suspend` has an end; `ban` may have one. */
export type Kind = "limit" | "suspend" | "ban";

export class RestrictionRow extends Model {
  static override readonly tableName = "restrictions";
  declare readonly id: string;
  declare readonly user_id: string;
  declare readonly kind: Kind;
  declare readonly capabilities: Capability[];
  declare readonly reason: RestrictionReason;
  declare readonly reason_policy: string;
  declare readonly message: string | null;
  declare readonly imposed_by: string | null;
  declare readonly starts_at: Date;
  declare readonly expires_at: Date | null;
  declare readonly lifted_at: Date | null;
  declare readonly lifted_by: string | null;
  declare readonly lift_note: string | null;
  declare readonly start_announced_at: Date | null;
  declare readonly end_announced_at: Date | null;
  declare readonly created_at: Date;
}

/** Where a restriction is in its life. */
export type State = "planned" | "active" | "ended" | "lifted";

/** Pure. @param at the database's time, by which starts and ends are judged */
export function stateAt(restriction: Pick<RestrictionRow, "starts_at" | "expires_at" | "lifted_at">, at: Date): State {
  if (restriction.lifted_at !== null) return "lifted";
  if (restriction.expires_at !== null && restriction.expires_at <= at) return "ended";
  return restriction.starts_at <= at ? "active" : "planned";
}

/** Whether it neither stands nor is planned any more. Pure. */
export function isOverAt(restriction: Parameters<typeof stateAt>[0], at: Date): boolean {
  const state = stateAt(restriction, at);
  return state === "lifted" || state === "ended";
}
