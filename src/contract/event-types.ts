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

const audience = z.enum(["everyone", "followers", "nobody"]);

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
  "A profile changed, or whom it is for; carries it whole.",
  publicProfile.extend({
    bio: z.string(),
    profileVersion: z.number().int(),
    details: z
      .object({
        links: z.array(z.object({ label: z.string(), url: z.string() })),
        pronouns: z.string().nullable(),
        location: z.string().nullable(),
        timezone: z.string().nullable(),
      })
      .optional(),
    previousUsername: z.string().optional().describe("The name that was left with this change; it leads to the user for 90 days"),
    visibleTo: audience.optional().describe("To whom its owner shows more than names and picture; everyone where it is missing"),
  }),
);

export const privacyChanged = event(
  "users.private.v1",
  "user.privacy_changed.v1",
  "The subject let others see and do more or less; carries the settings whole.",
  z.object({
    userId,
    privacy: z.object({
      profile: audience,
      email: audience,
      followersList: audience,
      followingList: audience,
      lastSeen: audience,
      typing: audience,
      discoverable: audience,
      messages: audience,
      requireFollowApproval: z.boolean(),
    }),
  }),
);

const edge = z.object({
  followerId: z.uuid(),
  followeeId: z.uuid(),
  edgeVersion: z.number().int().describe("Grows with each change of this pair; apply only a higher one"),
});

export const userFollowed = event("users.v1", "user.followed.v1", "The subject began to follow someone.", edge);
export const userUnfollowed = event("users.v1", "user.unfollowed.v1", "The subject follows someone no more, whoever ended it.", edge);

export const followRequested = event("users.private.v1", "user.follow_requested.v1", "The subject asked to follow someone.", edge);
export const followAccepted = event(
  "users.private.v1",
  "user.follow_accepted.v1",
  "A request of the subject was accepted; that they follow is an event of its own.",
  edge,
);
export const followRequestEnded = event(
  "users.private.v1",
  "user.follow_request_ended.v1",
  "A request of the subject waits no more and was not accepted.",
  edge.extend({ how: z.enum(["cancelled", "rejected", "blocked"]) }),
);

/** What a block ended of each edge. */
const cut = z.object({
  follow: z.enum(["requested", "accepted"]).nullable().describe("From the blocker to the blocked"),
  followed: z.enum(["requested", "accepted"]).nullable().describe("From the blocked to the blocker"),
});
const block = z.object({ blockerId: z.uuid(), blockedId: z.uuid(), cut });

export const userBlocked = event(
  "users.private.v1",
  "user.blocked.v1",
  "The subject blocked someone: neither may learn of the other from now on. The follows it ended are events of their own.",
  block,
);
export const userUnblocked = event(
  "users.private.v1",
  "user.unblocked.v1",
  "The subject took a block back. What it ended stays ended.",
  block,
);

export const userMuted = event(
  "users.private.v1",
  "user.muted.v1",
  "The subject does not want to see someone's things, until then where it says so. The muted one must not notice.",
  z.object({ muterId: z.uuid(), mutedId: z.uuid(), until: instant.nullable(), notifications: z.boolean() }),
);
export const userUnmuted = event(
  "users.private.v1",
  "user.unmuted.v1",
  "The subject took a mute back. One that reaches its end has no event.",
  z.object({ muterId: z.uuid(), mutedId: z.uuid() }),
);

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
