/** The shapes the graph answers with. */

import { z } from "zod";
import { personSchema } from "#src/features/profiles/public";
import type { BlockedRow, Cut } from "./block.sql.ts";
import type { Mute } from "./mute.sql.ts";
import type { MutedPerson } from "./own-lists.ts";
import type { PairRow } from "./pairs.sql.ts";

export const followSchema = z.object({ status: z.enum(["accepted", "requested"]).describe("You follow them now, or wait for their yes") });
export const unfollowSchema = z.object({ status: z.literal("gone").describe("The edge is not there (any more)") });

export const followListSchema = z.object({
  data: z.array(personSchema),
  pagination: z.object({
    nextCursor: z.string().nullable(),
    total: z.number().int().optional().describe("Only in your own lists"),
    totalIsExact: z.boolean().optional(),
  }),
});

export const acceptSchema = z.object({ status: z.literal("accepted").describe("They follow you now") });

const pagination = z.object({ nextCursor: z.string().nullable() });
const edgeState = z.enum(["requested", "accepted"]).nullable();
const cutSchema = z
  .object({
    follow: edgeState.describe("Yours of them, as it was; null where there was none"),
    followed: edgeState.describe("Theirs of you"),
  })
  .describe("What the block ended. It stays ended after unblocking: follow again if you want to");

export const requestListSchema = z.object({ data: z.array(personSchema), pagination });

export const blockSchema = z.object({ status: z.literal("blocked") });
export const unblockSchema = z.object({ status: z.literal("unblocked"), cut: cutSchema });

const blockedSchema = z.object({
  user: z.object({ id: z.uuid(), username: z.string(), displayName: z.string(), avatarUrl: z.string().nullable() }),
  blockedAt: z.iso.datetime(),
  cut: cutSchema,
});

export const blockListSchema = z.object({ data: z.array(blockedSchema), pagination });

function cutView({ follow, followed }: Cut): z.infer<typeof cutSchema> {
  return { follow, followed };
}

export function unblockView(cut: Cut): z.infer<typeof unblockSchema> {
  return { status: "unblocked", cut: cutView(cut) };
}

/** Someone blocked, to who blocked them: enough to know whom to unblock. */
export function blockedView(blocked: BlockedRow): z.infer<typeof blockedSchema> {
  return {
    user: { id: blocked.id, username: blocked.username, displayName: blocked.display_name, avatarUrl: blocked.avatar_url },
    blockedAt: blocked.created_at.toISOString(),
    cut: cutView(blocked),
  };
}

const muteState = {
  until: z.iso.datetime().nullable().describe("Its end, where it has one"),
  notifications: z.boolean().describe("Whether notices and pushes are muted too"),
};

export const muteSchema = z.object({ status: z.literal("muted"), ...muteState });
export const unmuteSchema = z.object({ status: z.literal("gone").describe("You have not muted them (any more)") });
const mutedSchema = z.object({ user: personSchema, ...muteState });
export const muteListSchema = z.object({ data: z.array(mutedSchema), pagination });

export function muteView({ until, notifications }: Mute): z.infer<typeof muteSchema> {
  return { status: "muted", until: until?.toISOString() ?? null, notifications };
}

export function mutedView({ user, until, notifications }: MutedPerson): z.infer<typeof mutedSchema> {
  return { user, until: until?.toISOString() ?? null, notifications };
}

const relationshipSchema = z.object({
  id: z.uuid(),
  isFollowing: z.boolean().describe("Whether you follow them"),
  followRequested: z.boolean().describe("Whether your request to follow them waits"),
  followsYou: z.boolean(),
  asksToFollowYou: z.boolean().describe("Whether their request to follow you waits"),
  isBlocking: z.boolean().describe("Whether you blocked them; all else is then false or null"),
  muting: z.object(muteState).nullable().describe("How you muted them; null where you did not, or its end has passed"),
});
export type RelationshipView = z.infer<typeof relationshipSchema>;
export const relationshipsSchema = z.object({ data: z.array(relationshipSchema), pagination });

/** What one is to somebody. A block leaves nothing beside it: a mute stays, unseen. */
export function relationshipView(pair: PairRow): RelationshipView {
  const { blocking, mute_notifications: notifications, mute_until: until } = pair;
  return {
    id: pair.target_id,
    isFollowing: !blocking && pair.out_state === "accepted",
    followRequested: !blocking && pair.out_state === "requested",
    followsYou: !blocking && pair.in_state === "accepted",
    asksToFollowYou: !blocking && pair.in_state === "requested",
    isBlocking: blocking,
    muting: blocking || notifications === null ? null : { until: until?.toISOString() ?? null, notifications },
  };
}
