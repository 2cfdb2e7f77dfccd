/** A declared wish in the form that is compared, kept and carried out. Pure. */

import { createHash } from "node:crypto";
import type { UserReference } from "#src/contract/external-restrictions";
import { REASON_CODES, type RestrictionReason } from "#src/contract/restriction-reasons";
import type { Capability } from "#src/kernel/actor";
import type { WishBody } from "./declared.schemas.ts";
import type { Kind } from "./restrictions.rows.ts";

/** How the account was named. An address is known by its hash only, in either form. */
export type Reference = { readonly id: string } | { readonly username: string } | { readonly emailHash: string };

/** What a declaration asks for. */
export interface Wish {
  readonly uid: string;
  readonly generation: number;
  readonly createdAt: Date;
  readonly reference: Reference;
  readonly kind: Kind;
  readonly capabilities: readonly Capability[];
  readonly reason: RestrictionReason;
  /** The reason where it is no code. */
  readonly words: string | undefined;
  readonly message: string | null;
  readonly requestedBy: string;
  readonly startsAt: Date | undefined;
  readonly expiresAt: Date | undefined;
  readonly durationSeconds: number | undefined;
  readonly staffAllowed: boolean;
  /** SHA-256 of all that one version of a declaration fixes: not of the account, and not of `staffAllowed`, which is its surroundings'. */
  readonly contentHash: Buffer;
  readonly referenceHash: Buffer;
}

/** Reads a wish that has passed its schema. */
export function readWish(body: WishBody): Wish {
  const code = REASON_CODES.find((one) => one === body.reason);
  const capabilities = [...new Set(body.capabilities)].sort();
  const reference = referenceOf(body.user);
  const message = body.message ?? null;
  const startsAt = toDate(body.startsAt);
  const expiresAt = toDate(body.expiresAt);
  const { kind, reason, requestedBy, durationSeconds } = body;
  return {
    uid: body.uid,
    generation: body.generation,
    createdAt: new Date(body.createdAt),
    reference,
    kind,
    capabilities,
    reason: code ?? "other",
    words: code === undefined ? reason : undefined,
    message,
    requestedBy,
    startsAt,
    expiresAt,
    durationSeconds,
    staffAllowed: body.staffAllowed,
    // An array, so that the order is ours; what is not there is null.
    contentHash: sha256(JSON.stringify([kind, capabilities, reason, message, requestedBy, startsAt, expiresAt, durationSeconds ?? null])),
    referenceHash: sha256(JSON.stringify(reference)),
  };
}

/** The wish as it is kept while it waits: without the address in clear. */
export function keptWish(body: WishBody): WishBody {
  const reference = referenceOf(body.user);
  return "emailHash" in reference ? { ...body, user: reference } : body;
}

function referenceOf(user: UserReference): Reference {
  if ("id" in user) return { id: user.id.toLowerCase() };
  // Usernames and addresses are ASCII, so this is what the database's lower() makes of them in "C".
  if ("username" in user) return { username: user.username.toLowerCase() };
  return { emailHash: "emailHash" in user ? user.emailHash : sha256(user.email.toLowerCase()).toString("hex") };
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text, "utf8").digest();
}

function toDate(instant: string | undefined): Date | undefined {
  return instant === undefined ? undefined : new Date(instant);
}
