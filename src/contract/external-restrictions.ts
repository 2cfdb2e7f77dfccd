/**
 * Restrictions that another system declares: `PUT`, `GET` and `DELETE /internal/restrictions/{source}/{externalId}`.
 * Level-based: the caller says what it wishes as often as it likes; the service answers what holds.
 */

import { z } from "zod";

/** Where a declared restriction comes from. One word of a registry; the controller of `UserBan` resources is `kubernetes`. */
export const restrictionSource = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, "lowercase letters, digits and hyphens, at most 32");

/**
 * What the source calls it: `cluster:namespace:name` of a `UserBan`. No slash, so that it is one segment of a path without
 * any escape: the sidecar listener refuses escaped slashes and dots altogether.
 */
export const externalId = z.string().regex(/^[A-Za-z0-9._:-]{1,512}$/, "1 to 512 of A-Z a-z 0-9 . _ : -");

const instant = z.iso.datetime({ offset: true, error: "a moment like 2026-11-24T15:00:00Z" });
const kind = z.enum(["limit", "suspend", "ban"]);

/**
 * Which account: exactly one form, and no other field beside it. `emailHash` is the SHA-256 of the address in lower case,
 * 64 hex digits, so that Git need not hold it; it is the same reference as the address itself.
 *
 * The account is looked for once: what is found is kept by its id, whatever it or others are called later. A further call
 * names it as the first did, or by that id; one that names another account is refused (`input.invalid`, `body.user`).
 */
export const userReference = z.union(
  [
    z.strictObject({ id: z.uuid().toLowerCase() }),
    z.strictObject({ username: z.string().min(1).max(64) }),
    z.strictObject({ email: z.string().min(3).max(254) }),
    z.strictObject({ emailHash: z.string().regex(/^[0-9a-f]{64}$/) }),
  ],
  { error: "exactly one of id, username, email, emailHash" },
);
export type UserReference = z.infer<typeof userReference>;

/**
 * The fence: which incarnation of the declaration speaks, and which of its versions. A `PUT` of a lower generation than one
 * seen, of the same with other content, of an incarnation that has ended or was made before another that is known, is
 * refused with 409 `restriction.superseded`. So is a `DELETE` of a lower generation than one seen. `staffAllowed` is no part
 * of the content. Ends are remembered for 30 days.
 */
const fence = {
  /** Of the incarnation: a declaration that was deleted and made again has another one. */
  uid: z.string().regex(/^[A-Za-z0-9._:-]{1,128}$/, "1 to 128 of A-Z a-z 0-9 . _ : -"),
  generation: z.number().int().min(1),
  /**
   * When the declaration was made: of two incarnations the later one counts, of two of one second the one seen later. A
   * `PUT` of a later one whose forerunner was not ended takes over from it: in one step its restriction is replaced, or
   * lifted where it was another account's.
   */
  createdAt: instant,
};

/**
 * `PUT`: what is wished. Unknown fields are ignored, since versions overlap. A term that is over cannot be imposed: a new
 * version with such a one is refused (`input.invalid`) and what held holds; the repeat of one that has run out is `unchanged`.
 */
export const restrictionWish = z.object({
  ...fence,
  user: userReference,
  kind,
  capabilities: z.array(z.string()).max(16).optional(),
  /** A code of the list of reasons (`RESTRICTION_REASONS`), or words; words are kept as the note of a decision with the code `other`. */
  reason: z.string().min(1).max(500),
  /** Shown to the user. */
  message: z.string().min(1).max(1000).optional(),
  /** Who asked for it, as the source knows them. For the record only. */
  requestedBy: z.string().min(1).max(256),
  startsAt: instant.optional(),
  expiresAt: instant.optional(),
  /** Instead of `expiresAt`: from the moment this incarnation was first in force, over all its generations and repairs. */
  durationSeconds: z.number().int().min(1).max(315_360_000).optional(),
  /**
   * Whether an account with the role moderator may be restricted this way. Admins never may. Looked at whenever something is
   * imposed, replaced or repaired; what holds already stays when the account gets a role.
   */
  staffAllowed: z.boolean(),
});
export type RestrictionWish = z.infer<typeof restrictionWish>;

/**
 * `DELETE` with this body: the incarnation has ended, and any older one that nobody ended. What it imposed is lifted, or
 * kept. Repeating it is no error and says the same, whatever `policy` then is; nor is the end of one that was never seen,
 * which is remembered so that its `PUT` is refused when it comes late.
 */
export const restrictionEnd = z.object({
  ...fence,
  /** `lift` what it imposed, or `keep` it as if a moderator had decided it. */
  policy: z.enum(["lift", "keep"]),
  /** For the record. */
  note: z.string().min(1).max(500),
});
export type RestrictionEnd = z.infer<typeof restrictionEnd>;

/** How a declared restriction stands. */
export const declaredRestriction = z.object({
  source: z.string(),
  externalId: z.string(),
  uid: z.string(),
  generation: z.number().int(),
  /**
   * `waiting`: nobody has that address yet, it is imposed as soon as somebody registers with it · `planned`, `active`,
   * `ended`: as for any restriction (also: it waited until its term was over) · `lifted`: by somebody else, while the
   * declaration stands and its term is not over; the next `PUT` repairs it · `gone`: the incarnation has ended.
   */
  state: z.enum(["waiting", "planned", "active", "ended", "lifted", "gone"]),
  userId: z.uuid().nullable(),
  restrictionId: z.uuid().nullable(),
  startsAt: instant.nullable(),
  expiresAt: instant.nullable(),
  /** When it was first in force. */
  enforcedAt: instant.nullable(),
  /** Sessions it ended, over all generations of the incarnation. */
  sessionsRevoked: z.number().int().min(0),
});
export type DeclaredRestriction = z.infer<typeof declaredRestriction>;

/**
 * What a `PUT` or `DELETE` did. `imposed`: another restriction stands or is planned · `replaced`: it does in place of the one
 * before, without a moment between them · `repaired`: somebody had lifted it, and it was imposed again · `unchanged`: what is
 * wished holds, is waited for or has run out already (also for a later generation that wishes the same) · `waiting` ·
 * `lifted`, `kept`: how the incarnation ended.
 */
export const declarationOutcome = z.enum(["imposed", "replaced", "repaired", "unchanged", "waiting", "lifted", "kept"]);
export type DeclarationOutcome = z.infer<typeof declarationOutcome>;

/** The answer to `PUT` and `DELETE`. */
export const declarationAnswer = z.object({ outcome: declarationOutcome, restriction: declaredRestriction });
export type DeclarationAnswer = z.infer<typeof declarationAnswer>;

/** `GET /internal/restrictions/{source}?after&limit`: all of one source that have not ended, by external id. */
export const declaredPage = z.object({ data: z.array(declaredRestriction), nextAfter: z.string().nullable() });

/** Codes that a caller switches on. */
export const DECLARATION_CODES = {
  /** 404: no account of that id or username. Addresses are waited for instead. */
  userNotFound: "user.not_found",
  /** 403: an admin, or a moderator without `staffAllowed`. */
  staffTarget: "restriction.staff_target",
  /** 409: another declaration, of whatever source, restricts the account or waits for it; `detail` and `conflictsWith` {source, externalId} name it. */
  conflict: "restriction.conflict",
  /** 409: the fence refused it. */
  superseded: "restriction.superseded",
  /** 404: nothing was declared under this name. */
  notFound: "restriction.not_found",
  /** 403: the source belongs to another app. */
  foreignSource: "restriction.foreign_source",
  /** 400, with `errors`. */
  invalid: "input.invalid",
} as const;
