/** People as they are shown: to themselves, to others, and when restricted. */

import { z } from "zod";
import { accountSchema, accountView } from "#src/features/accounts/public";
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

export const meSchema = accountSchema.extend({ profileVersion, followersCount: count, followingCount: count, social: socialSchema });
export type MeView = z.infer<typeof meSchema>;

export function meView(me: MeRow): MeView {
  return {
    ...accountView(me, me.status),
    profileVersion: me.version,
    followersCount: me.followers,
    followingCount: me.following,
    social: socialView(me),
  };
}

const availableSchema = z.object({
  id: z.uuid(),
  username: z.string(),
  displayName: z.string(),
  avatarUrl: z.string().nullable(),
  bio: z.string(),
  status: z.enum(["active", "suspended", "banned"]).describe("Other than active only to moderators"),
  profileVersion,
  isFollowing: z.boolean().describe("Whether you follow them"),
  followsYou: z.boolean(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
});

const unavailableSchema = z
  .object({ id: z.uuid(), username: z.string(), status: z.literal("unavailable") })
  .describe("A restricted account: there, but nothing of it is shown");

/** Someone in a list. */
export const personSchema = z.union([availableSchema, unavailableSchema]);
export type PersonView = z.infer<typeof personSchema>;

/** Someone's profile. */
export const profileSchema = z.union([
  availableSchema.extend({ followersCount: count, followingCount: count, social: socialSchema }),
  unavailableSchema,
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
    isFollowing: person.is_following,
    followsYou: person.follows_you,
    createdAt: person.created_at.toISOString(),
    updatedAt: person.updated_at.toISOString(),
  };
}

/** The same with counters and the social service's figures. */
export function profileView(person: ProfileRow): ProfileView {
  return {
    ...personView(person),
    followersCount: person.followers,
    followingCount: person.following,
    social: socialView(person),
  };
}

/** Someone restricted, to those who may know that they are there. */
export function unavailableView(person: PersonRow): z.infer<typeof unavailableSchema> {
  return { id: person.id, username: person.username, status: "unavailable" };
}
