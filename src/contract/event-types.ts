/** The events that leave this service: topic, type, and the schema of `data`. Additive only; a breaking change is `v2` beside `v1`. */

import { z } from "zod";

/** `users.v1` is for everyone; `users.private.v1` holds what other people must not learn and has subscription scopes. */
export type Topic = "users.v1" | "users.private.v1";

/** One kind of event. */
export interface EventType<Data> {
  readonly topic: Topic;
  /** The CloudEvents `type`, e.g. `videamozi.user.registered.v1`. */
  readonly type: string;
  readonly summary: string;
  readonly data: z.ZodType<Data>;
}

const all: EventType<unknown>[] = [];

function event<Data>(topic: Topic, type: string, summary: string, data: z.ZodType<Data>): EventType<Data> {
  const made: EventType<Data> = { topic, type: `videamozi.${type}`, summary, data };
  all.push(made as EventType<unknown>);
  return made;
}

/** Every event type, for the generated documents. */
export function eventTypes(): readonly EventType<unknown>[] {
  return all;
}

const userId = z.uuid().describe("The user the event is about");
const instant = z.iso.datetime().describe("RFC 3339, UTC");
const status = z.enum(["active", "suspended", "banned", "deactivated", "erased"]);
const kind = z.enum(["limit", "suspend", "ban"]);

const publicProfile = z.object({
  userId,
  username: z.string(),
  displayName: z.string(),
  avatarUrl: z.string().nullable(),
});

export const userRegistered = event(
  "users.v1",
  "user.registered.v1",
  "Someone made an account.",
  publicProfile.extend({ createdAt: instant }),
);

export const userProfileUpdated = event(
  "users.v1",
  "user.profile_updated.v1",
  "The public part of a profile changed; carries it whole.",
  publicProfile.extend({ bio: z.string(), profileVersion: z.number().int() }),
);

const edge = z.object({
  followerId: z.uuid(),
  followeeId: z.uuid(),
  edgeVersion: z.number().int().describe("Grows with each change of this pair; apply only a higher one"),
});

export const userFollowed = event("users.v1", "user.followed.v1", "The subject began to follow someone.", edge);
export const userUnfollowed = event("users.v1", "user.unfollowed.v1", "The subject follows someone no more, whoever ended it.", edge);

export const userRestricted = event(
  "users.v1",
  "user.restricted.v1",
  "A restriction of the subject is in force or is planned. Says what it is, not why.",
  z.object({
    userId,
    kind,
    capabilities: z.array(z.string()),
    status: status.describe("The standing of the account at the moment of the event"),
    startsAt: instant,
    expiresAt: instant.nullable(),
  }),
);

export const userRestored = event(
  "users.v1",
  "user.restored.v1",
  "A restriction of the subject ended or was lifted; others may still stand.",
  z.object({ userId, kind, status }),
);

export const restrictionImposed = event(
  "users.private.v1",
  "user.restriction_imposed.v1",
  "Why the subject was restricted, and by whom.",
  z.object({
    userId,
    restrictionId: z.uuid(),
    kind,
    reason: z.string(),
    message: z.string().nullable(),
    imposedBy: z.uuid().nullable(),
  }),
);

export const restrictionLifted = event(
  "users.private.v1",
  "user.restriction_lifted.v1",
  "A restriction was lifted before its end, by whom and with which note.",
  z.object({ userId, restrictionId: z.uuid(), kind, note: z.string(), liftedBy: z.uuid().nullable() }),
);

export const refreshReuse = event(
  "users.private.v1",
  "security.refresh_reuse.v1",
  "A refresh token of the subject was presented after its use and its grace: a sign of theft. The session was revoked.",
  z.object({ userId, sessionId: z.uuid() }),
);

export const userNotified = event(
  "users.private.v1",
  "user.notified.v1",
  "The subject got a notice in the app. Says of which type, not what it says.",
  z.object({ userId, noticeId: z.uuid(), noticeType: z.string() }),
);
