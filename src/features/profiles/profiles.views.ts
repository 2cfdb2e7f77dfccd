/** People as they are shown: to themselves, to others, and when restricted. */

import { z } from "zod";
import { accountSchema, accountView, detailsKeys, detailsOf } from "#src/features/accounts/public";
import { PRESET_NAMES, presetOf, type Privacy } from "#src/policy/privacy";
import { privacyKeys } from "./profiles.schemas.ts";
import type { MeRow, PersonRow, ProfileRow, SocialColumns } from "./profiles.sql.ts";

const count = z.number().int().min(0);
const profileVersion = z.number().int().describe("Grows with each change of the profile; the same number as in user:profile-updated");

const socialSchema = z
  .object({
    postsCount: count,
    reactionsCount: count.nullable().describe("Null where the social service does not say"),
    asOf: z.iso.datetime().describe("When it was so"),
  })
  .nullable()
  .describe("What the social service told last; null until it has told anything");
export type SocialView = z.infer<typeof socialSchema>;

/** Figures of another service, with the moment they are of. */
export function socialView(social: SocialColumns): SocialView {
  if (social.posts_count === null || social.social_as_of === null) return null;
  return { postsCount: social.posts_count, reactionsCount: social.reactions_count, asOf: social.social_as_of.toISOString() };
}

export const meSchema = accountSchema.extend({
  ...detailsKeys,
  profileVersion,
  followersCount: count,
  followingCount: count,
  social: socialSchema,
});
export type MeView = z.infer<typeof meSchema>;

export function meView(me: MeRow): MeView {
  return {
    ...accountView(me, me.status),
    ...detailsView(me.details),
    profileVersion: me.version,
    followersCount: me.followers,
    followingCount: me.following,
    social: socialView(me),
  };
}

function detailsView(column: unknown): z.infer<z.ZodObject<typeof detailsKeys>> {
  const { links, ...details } = detailsOf(column);
  return { ...details, links: [...links] };
}

const betweenYou = {
  isFollowing: z.boolean().describe("Whether you follow them"),
  followRequested: z.boolean().describe("Whether your request to follow them waits"),
  followsYou: z.boolean(),
};

const availableSchema = z.object({
  id: z.uuid(),
  username: z.string(),
  displayName: z.string(),
  avatarUrl: z.string().nullable(),
  bio: z.string(),
  status: z.enum(["active", "suspended", "banned"]).describe("Other than active only to moderators"),
  profileVersion,
  ...betweenYou,
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
});

const unavailableSchema = z
  .object({ id: z.uuid(), username: z.string(), status: z.literal("unavailable") })
  .describe("A restricted account: there, but nothing of it is shown");

const privateSchema = z
  .object({
    id: z.uuid(),
    username: z.string(),
    displayName: z.string(),
    avatarUrl: z.string().nullable(),
    status: z.literal("private"),
    ...betweenYou,
  })
  .describe("Somebody who does not show you more than this");

/** Someone in a list. */
export const personSchema = z.union([availableSchema, privateSchema, unavailableSchema]);
export type PersonView = z.infer<typeof personSchema>;

export const peopleSchema = z.object({ data: z.array(personSchema), pagination: z.object({ nextCursor: z.string().nullable() }) });

const moved = {
  movedFrom: z.string().optional().describe("The name you asked by; there only where they have left it. It leads here for 90 days"),
};

/** Someone's profile. */
export const profileSchema = z.union([
  availableSchema.extend({
    ...moved,
    ...detailsKeys,
    email: z.string().nullable().describe("Null unless they let you see it; never in lists"),
    followersCount: count.nullable().describe("Null where you may not see the list"),
    followingCount: count.nullable().describe("Null where you may not see the list"),
    social: socialSchema,
  }),
  privateSchema.extend(moved),
  unavailableSchema.extend(moved),
]);
export type ProfileView = z.infer<typeof profileSchema>;

/** Someone the viewer may see. */
export function personView(person: PersonRow): z.infer<typeof availableSchema> {
  return {
    id: person.id,
    username: person.username,
    displayName: person.display_name,
    avatarUrl: person.avatar_url,
    bio: person.bio,
    status: person.status as "active" | "suspended" | "banned",
    profileVersion: person.version,
    isFollowing: person.follows,
    followRequested: person.requested,
    followsYou: person.follows_you,
    createdAt: person.created_at.toISOString(),
    updatedAt: person.updated_at.toISOString(),
  };
}

/** What of a profile the viewer may see beside the profile itself. */
export interface Facets {
  readonly email: boolean;
  readonly followersList: boolean;
  readonly followingList: boolean;
}

/** The same with the social service's figures, and what its owner lets the viewer see besides. */
export function profileView(person: ProfileRow, facets: Facets): ProfileView {
  return {
    ...personView(person),
    ...detailsView(person.details),
    email: facets.email ? person.email : null,
    followersCount: facets.followersList ? person.followers : null,
    followingCount: facets.followingList ? person.following : null,
    social: socialView(person),
  };
}

/** Someone whose profile is not for this viewer. */
export function privateView(person: PersonRow): z.infer<typeof privateSchema> {
  return {
    id: person.id,
    username: person.username,
    displayName: person.display_name,
    avatarUrl: person.avatar_url,
    status: "private",
    isFollowing: person.follows,
    followRequested: person.requested,
    followsYou: person.follows_you,
  };
}

/** Someone restricted, to those who may know that they are there. */
export function unavailableView(person: PersonRow): z.infer<typeof unavailableSchema> {
  return { id: person.id, username: person.username, status: "unavailable" };
}

export const privacySchema = z.object({
  preset: z.enum(PRESET_NAMES).nullable().describe("The preset these settings are; null where they are none"),
  ...privacyKeys,
});

/** One's own settings. */
export function privacyView(privacy: Privacy): z.infer<typeof privacySchema> {
  return {
    preset: presetOf(privacy),
    profile: privacy.profile,
    email: privacy.email,
    followersList: privacy.followersList,
    followingList: privacy.followingList,
    lastSeen: privacy.lastSeen,
    typing: privacy.typing,
    discoverable: privacy.discoverable,
    messages: privacy.messages,
    requireFollowApproval: privacy.requireFollowApproval,
  };
}
