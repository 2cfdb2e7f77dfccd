/** What neighbours ask of people: `POST /internal/users/batch` and `POST /internal/relationships`. Unknown fields are ignored, since versions overlap. */

import { z } from "zod";

const MOST = 500;
const id = z.uuid().toLowerCase();

/**
 * What somebody may do to, or see of, somebody else. The viewer acts, the target is whom it is about:
 * `view` they are there for the viewer · `view_profile` more of them than names and picture · `watch` whether they are online ·
 * `type` that they type · `message` write to them (mentioning is writing to) · `follow`.
 */
export const PAIR_ACTIONS = ["view", "view_profile", "watch", "type", "message", "follow"] as const;
export type PairAction = (typeof PAIR_ACTIONS)[number];

/**
 * `allow`, or why not. `hidden`: as if the target did not exist, whether they are unknown, gone or one blocked the other.
 * `unavailable`: the target is restricted. `private`: the target does not let this viewer. `self`: senseless with oneself.
 * `restricted`, `limited`: the viewer may not, because of a restriction of their own. What is not `allow` is no.
 */
const pairDecision = z.enum(["allow", "hidden", "unavailable", "private", "self", "restricted", "limited"]);
export type PairDecision = z.infer<typeof pairDecision>;

const action = z.enum(PAIR_ACTIONS);

export const relationshipsQuestion = z.object({
  pairs: z
    .array(z.object({ viewerId: id, targetId: id }))
    .min(1)
    .max(MOST, `at most ${MOST} pairs`),
  /** Which of those that the app may ask; all of them when left out. */
  actions: z.array(action).min(1).max(20).optional(),
});

/** One entry a pair, in their order, repeated ones as often as they were asked. It holds for this moment: ask before each delivery. */
export const relationshipsAnswer = z.object({
  data: z.array(z.object({ viewerId: id, targetId: id, may: z.partialRecord(action, pairDecision) })),
});

/** What other people are not shown. Which app may ask for which is the service's to say. */
export const PRIVATE_FIELDS = ["email", "emailVerified", "locale", "roles", "standing"] as const;
export type PrivateField = (typeof PRIVATE_FIELDS)[number];

export const batchQuestion = z.object({
  /** A repeated one counts, and is answered once. */
  ids: z.array(id).min(1).max(MOST, `at most ${MOST} ids`),
  /**
   * As this account sees them. Left out: as any account sees them that has nothing to do with them, so not for pages that are
   * open to people without one.
   */
  viewerId: id.optional(),
  fields: z.array(z.enum(PRIVATE_FIELDS)).min(1).max(20).optional(),
});

const instant = z.iso.datetime();
const status = z.enum(["active", "suspended", "banned", "deactivated", "erased"]);

/** Those of the fields that were asked for. */
const privateFields = z
  .object({
    email: z.string(),
    emailVerified: z.boolean(),
    locale: z.string(),
    roles: z.array(z.string()),
    standing: z.object({ status, limited: z.array(z.string()) }),
  })
  .partial();
export type PrivateFields = z.infer<typeof privateFields>;

const named = { id, username: z.string(), displayName: z.string(), avatarUrl: z.string().nullable() };
const besides = { private: privateFields.optional() };
/** Only where a viewer was named. */
const toViewer = { isFollowing: z.boolean().optional(), followRequested: z.boolean().optional(), followsYou: z.boolean().optional() };

const person = z.union([
  z.object({
    ...named,
    bio: z.string(),
    /** Other than active only where the viewer is a moderator. */
    status: z.enum(["active", "suspended", "banned"]),
    profileVersion: z.number().int(),
    createdAt: instant,
    updatedAt: instant,
    ...toViewer,
    ...besides,
  }),
  z.object({ ...named, status: z.literal("private"), ...toViewer, ...besides }),
  z.object({ id, username: z.string(), status: z.literal("unavailable"), ...besides }),
]);

/** In the order of the ids. Who is not there for the viewer is left out, like an id that nobody has. */
export const batchAnswer = z.object({ data: z.array(person) });
