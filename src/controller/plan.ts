/** What to do about one `UserBan`. Pure: a table of (object, what was observed, now) → step. */

import type { DeclarationAnswer, DeclaredRestriction } from "#src/contract/external-restrictions";
import type { RefusalCode } from "#src/client/restrictions";
import { FINALIZER, type UserBan } from "./userban.ts";
import { isKept, isReleased } from "./wish.ts";

/** The first step, from the object alone. */
export type Step =
  /** The deletion waits for others, or has nothing of ours to wait for. */
  | { readonly do: "nothing" }
  /** It is being deleted: say the end, then let go. `released`: let go in any case. */
  | { readonly do: "end"; readonly policy: "lift" | "keep"; readonly released: boolean }
  | { readonly do: "pause" }
  /** Its end had come before it had any effect: there is nothing to call for. */
  | { readonly do: "expire" }
  /** Have it imposed, or see that it is. `guard`: our finalizer first. */
  | { readonly do: "impose"; readonly guard: boolean };

/** What is known after the step. */
export type Verdict =
  | { readonly kind: "declared"; readonly answer: DeclarationAnswer }
  /** `standing`: what an earlier generation of it left in force, where that was asked. */
  | { readonly kind: "refused"; readonly code: RefusalCode; readonly detail: string; readonly standing?: DeclaredRestriction | undefined }
  /** The object cannot be put to the service at all. */
  | { readonly kind: "malformed"; readonly message: string }
  | { readonly kind: "unreachable"; readonly error: string }
  | { readonly kind: "paused" }
  /** `ended`: what it had imposed before its end was put into the past. */
  | { readonly kind: "expired"; readonly ended?: DeclaredRestriction };

/** @param now of this machine; the service's own clock has the last word */
export function firstStep(ban: UserBan, now: Date): Step {
  const { metadata, spec } = ban;
  const isGuarded = metadata.finalizers?.includes(FINALIZER) === true;
  if (metadata.deletionTimestamp !== undefined) {
    if (!isGuarded) return { do: "nothing" };
    return { do: "end", policy: isKept(ban) ? "keep" : "lift", released: isReleased(ban) };
  }
  if (spec.paused === true) return { do: "pause" };
  if (!isGuarded && isPast(ban, now)) return { do: "expire" };
  return { do: "impose", guard: !isGuarded };
}

/** Whether the end that it names has come. */
export function isPast({ spec }: UserBan, now: Date): boolean {
  return spec.expiresAt !== undefined && new Date(spec.expiresAt) <= now;
}

/** What follows from a verdict. */
export type Next =
  /** All is well until something happens. */
  | { readonly do: "rest" }
  | { readonly do: "look-again"; readonly afterMs: number }
  /** As soon as the pause after a failure allows. */
  | { readonly do: "retry" }
  /** An edit put the end into the past, which the service takes for a mistake: what stands is ended by its name. */
  | { readonly do: "end-expired" };

/** Pauses in ms. */
const WAITING_MS = 30_000;
const CONFLICT_MS = 30_000;
const SLOW_MS = 60_000;
const HOPELESS_MS = 600_000;
/** What clocks of two machines may differ by without a look in vain. */
const CLOCK_MARGIN_MS = 500;
const LEAST_MS = 1_000;
const CLOCK_BEHIND_MS = 5_000;

/** Level-based: the same verdict asks for the same, however often. */
export function nextStep(ban: UserBan, verdict: Verdict, now: Date): Next {
  switch (verdict.kind) {
    case "declared":
      return afterAnswer(verdict.answer, now);
    case "refused":
      return afterRefusal(ban, verdict.code, now);
    case "unreachable":
      return { do: "retry" };
    case "malformed":
    case "paused":
    case "expired":
      return { do: "rest" };
  }
}

function afterAnswer({ restriction }: DeclarationAnswer, now: Date): Next {
  switch (restriction.state) {
    case "waiting":
      return { do: "look-again", afterMs: WAITING_MS };
    case "planned":
      return until(restriction.startsAt, now);
    case "active":
      return restriction.expiresAt === null ? { do: "rest" } : until(restriction.expiresAt, now);
    case "ended":
      return { do: "rest" };
    // A PUT does not leave it so; somebody was faster.
    case "lifted":
    case "gone":
      return { do: "look-again", afterMs: LEAST_MS };
  }
}

function afterRefusal(ban: UserBan, code: RefusalCode, now: Date): Next {
  switch (code) {
    case "user.not_found":
      // An id is never given later; a username may be.
      return { do: "look-again", afterMs: ban.spec.userRef.id === undefined ? SLOW_MS : HOPELESS_MS };
    case "restriction.conflict":
      return { do: "look-again", afterMs: CONFLICT_MS };
    case "restriction.staff_target":
    case "restriction.superseded":
    case "restriction.not_found":
      return { do: "look-again", afterMs: SLOW_MS };
    case "input.invalid":
      return isPast(ban, now) ? { do: "end-expired" } : { do: "rest" };
  }
}

function until(moment: string | null, now: Date): Next {
  const leftMs = moment === null ? 0 : new Date(moment).getTime() - now.getTime();
  return { do: "look-again", afterMs: leftMs > 0 ? Math.max(LEAST_MS, leftMs + CLOCK_MARGIN_MS) : CLOCK_BEHIND_MS };
}
