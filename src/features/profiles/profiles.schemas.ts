/** What the doors of profiles take. */

import { z } from "zod";
import { bio, detailsKeys, displayName, isPlainHttpsUrl, username } from "#src/features/accounts/public";
import { AUDIENCES, PRESET_NAMES } from "#src/policy/privacy";

const avatarUrl = z
  .string()
  .max(2048, "at most 2048 characters")
  .refine(isPlainHttpsUrl, "an https URL without user name, or null")
  .describe("An https URL; null takes the picture away");

/** A change of the own profile: what is left out stays. */
export const profileChange = z.strictObject({
  username: username
    .optional()
    .describe("Twice in 30 days, and by a sign-in or step-up within the last ten minutes; the old one stays yours for 90 days"),
  displayName: displayName.optional(),
  bio: bio.optional(),
  avatarUrl: avatarUrl.nullable().optional(),
  ...z.strictObject(detailsKeys).partial().shape,
});

export type ProfileChange = z.infer<typeof profileChange>;

const audience = z.enum(AUDIENCES);

/** What one decides about; `followers` are those whose follow was accepted. */
export const privacyKeys = {
  profile: audience.describe("Who sees more of you than your names and picture; also a condition of email and the lists"),
  email: audience.describe("Which accounts see your address, in your profile only"),
  followersList: audience.describe("Who sees your followers, and how many"),
  followingList: audience.describe("Who sees whom you follow, and how many"),
  lastSeen: audience.describe("Who sees whether you are online and when you were"),
  typing: audience.describe("Who sees that you type"),
  discoverable: audience.describe(
    "Who finds you by search; by your exact name any account does, and people without one (PUBLIC_PROFILES) only where this is everyone",
  ),
  messages: audience.describe("Who may write to you"),
  requireFollowApproval: z.boolean().describe("Whether whoever wants to follow you must wait for your yes"),
};

/** A change of the own settings: the preset first, then the keys; what is left out stays. */
export const privacyChange = z
  .strictObject({ preset: z.enum(PRESET_NAMES).describe("Sets everything at once; keys beside it win"), ...privacyKeys })
  .partial();

export type PrivacyChange = z.infer<typeof privacyChange>;

/** Whom a path names. A name that cannot be one is answered like a name nobody has. */
export const personParams = z.strictObject({ idOrUsername: z.string().min(1).max(100).describe("An id, or a username in any case") });

/** Ids in an address one shows people by. */
const MOST_IDS = 100;

/** Many people by their ids: distinct and in lower case, in the order given. */
export const manyIds = z
  .array(z.uuid().toLowerCase())
  .max(MOST_IDS, `at most ${MOST_IDS} ids`)
  .transform((ids) => [...new Set(ids)]);

/** The same in a query string. */
export const idsQuery = z.strictObject({
  ids: z
    .string()
    .transform((text) => text.split(","))
    .pipe(manyIds)
    .describe(`1 to ${MOST_IDS} ids, separated by commas; a repeated one counts and is answered once`),
});
