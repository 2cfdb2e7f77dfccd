/** `UserBan` → what is asked of the service. Pure. */

import type { RestrictionEnd, RestrictionWish, UserReference } from "#src/contract/external-restrictions";
import { RELEASE_ANNOTATION, type UserBan } from "./userban.ts";

const UNIT_SECONDS = { d: 86_400, h: 3_600, m: 60, s: 1 } as const;
/** The service wants a name for the record; a resource need not give one. */
const NOT_SAID = "(not said)";
const MOST_SECONDS = 315_360_000;

/** A wish that cannot be put to the service, though the API server took the object. `message` says why. */
export class WishError extends Error {
  override readonly name = "WishError";
}

/** @throws WishError */
export function wishOf(ban: UserBan, staffAllowed: boolean): RestrictionWish {
  const { spec } = ban;
  return {
    ...fenceOf(ban),
    user: referenceOf(spec.userRef),
    kind: spec.kind,
    ...(spec.capabilities === undefined ? {} : { capabilities: [...spec.capabilities] }),
    reason: spec.reason,
    ...(spec.message === undefined ? {} : { message: spec.message }),
    requestedBy: spec.requestedBy ?? NOT_SAID,
    ...(spec.startsAt === undefined ? {} : { startsAt: instantOf("startsAt", spec.startsAt) }),
    ...(spec.expiresAt === undefined ? {} : { expiresAt: instantOf("expiresAt", spec.expiresAt) }),
    ...(spec.duration === undefined ? {} : { durationSeconds: secondsOf(spec.duration) }),
    staffAllowed,
  };
}

/** What the service is told when the incarnation has ended. */
export function endOf(ban: UserBan, note: string): RestrictionEnd {
  return { ...fenceOf(ban), policy: isKept(ban) ? "keep" : "lift", note };
}

/** Whether what it imposed outlives it. */
export function isKept({ metadata, spec }: UserBan): boolean {
  return spec.deletionPolicy === "Keep" || isReleased({ metadata });
}

/** Whether its deletion must not wait for the service. */
export function isReleased({ metadata }: Pick<UserBan, "metadata">): boolean {
  return metadata.annotations?.[RELEASE_ANNOTATION] === "true";
}

function fenceOf({ metadata }: UserBan): Pick<RestrictionWish, "uid" | "generation" | "createdAt"> {
  return { uid: metadata.uid, generation: metadata.generation, createdAt: instantOf("creationTimestamp", metadata.creationTimestamp) };
}

/**
 * Seconds of a duration such as `7d`, `1h30m`.
 * @throws WishError for none at all, and for more than 10 years of 365 days
 */
export function secondsOf(duration: string): number {
  if (!/^([0-9]+[dhms])+$/.test(duration)) throw new WishError("duration is made of whole numbers of d, h, m and s, such as 1h30m");
  const parts = [...duration.matchAll(/([0-9]+)([dhms])/g)];
  const seconds = parts.reduce((sum, [, count, unit]) => sum + Number(count) * UNIT_SECONDS[unit as keyof typeof UNIT_SECONDS], 0);
  if (seconds < 1) throw new WishError("duration is at least 1s");
  if (seconds > MOST_SECONDS) throw new WishError("duration is at most 3650d; a ban without end has none");
  return seconds;
}

/** One form of a moment, whatever offset it was written with. */
function instantOf(field: string, text: string): string {
  const moment = new Date(text);
  if (Number.isNaN(moment.getTime())) throw new WishError(`${field} is not a moment`);
  return moment.toISOString();
}

function referenceOf({ id, username, email, emailHash }: UserBan["spec"]["userRef"]): UserReference {
  if (id !== undefined) return { id };
  if (username !== undefined) return { username };
  if (email !== undefined) return { email };
  if (emailHash !== undefined) return { emailHash };
  throw new WishError("userRef names nobody");
}
