/** A declared restriction as the database has it, and how it stands. */

import type { DeclaredRestriction } from "#src/contract/external-restrictions";
import type { WishBody } from "./declared.schemas.ts";
import { stateAt } from "./restrictions.rows.ts";

/** Which declaration, whatever its incarnation. */
export interface DeclarationName {
  readonly source: string;
  readonly externalId: string;
}

/** One incarnation: a row of `declared_restrictions`. */
export interface DeclaredRow {
  readonly source: string;
  readonly external_id: string;
  readonly uid: string;
  readonly object_created_at: Date;
  readonly generation: number;
  readonly content_hash: Buffer | null;
  readonly reference_hash: Buffer | null;
  /** Null while it waits for somebody to register, and of one that was ended before it was imposed. */
  readonly user_id: string | null;
  readonly email_hash: Buffer | null;
  readonly wish: WishBody | null;
  readonly restriction_id: string | null;
  readonly first_enforced_at: Date | null;
  readonly sessions_revoked: number;
  readonly ended_at: Date | null;
  readonly ended_how: "lifted" | "kept" | null;
}

/** The same with the term of its restriction, at the database's time `now`. */
export interface Declared extends DeclaredRow {
  readonly starts_at: Date | null;
  readonly expires_at: Date | null;
  readonly lifted_at: Date | null;
  readonly now: Date;
}

/** How it stands. Pure. What was lifted by somebody else counts as ended once its term is over: there is nothing to repair. */
export function declaredState(declared: Declared): DeclaredRestriction["state"] {
  const { now, starts_at, expires_at, lifted_at, wish } = declared;
  if (declared.ended_at !== null) return "gone";
  if (declared.user_id === null) {
    return wish?.expiresAt !== undefined && new Date(wish.expiresAt) <= now ? "ended" : "waiting";
  }
  // Its restriction is gone with the account.
  if (starts_at === null) return "lifted";
  if (expires_at !== null && expires_at <= now) return "ended";
  return stateAt({ starts_at, expires_at, lifted_at }, now);
}

/** When it was first in force; null while it never was. Pure. */
export function firstEnforced({ first_enforced_at, starts_at, lifted_at, now }: Declared): Date | null {
  if (first_enforced_at !== null) return first_enforced_at;
  return starts_at !== null && starts_at <= (lifted_at ?? now) ? starts_at : null;
}
