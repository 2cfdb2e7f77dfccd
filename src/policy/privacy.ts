/** What people let whom see: the whole set of keys, and the sets that have a name. */

/** `followers` are those whose follow stands; a request is none. */
export const AUDIENCES = ["everyone", "followers", "nobody"] as const;
export type Audience = (typeof AUDIENCES)[number];

/** What somebody decides about, each with an audience. */
export type Facet = "profile" | "email" | "followersList" | "followingList" | "lastSeen" | "typing" | "discoverable" | "messages";

/** Somebody's settings, whole. */
export type Privacy = Readonly<Record<Facet, Audience>> & {
  /** Whether a follow waits for their yes. */
  readonly requireFollowApproval: boolean;
};

/** `open` is what everybody has at first. */
export const PRESET_NAMES = ["open", "friends", "private"] as const;
export type Preset = (typeof PRESET_NAMES)[number];

/** The address is nobody's business in any of them. */
export const PRESETS: Readonly<Record<Preset, Privacy>> = {
  open: {
    profile: "everyone",
    email: "nobody",
    followersList: "everyone",
    followingList: "everyone",
    lastSeen: "everyone",
    typing: "everyone",
    discoverable: "everyone",
    messages: "everyone",
    requireFollowApproval: false,
  },
  friends: {
    profile: "followers",
    email: "nobody",
    followersList: "followers",
    followingList: "followers",
    lastSeen: "followers",
    typing: "followers",
    discoverable: "everyone",
    messages: "followers",
    requireFollowApproval: true,
  },
  private: {
    profile: "followers",
    email: "nobody",
    followersList: "nobody",
    followingList: "nobody",
    lastSeen: "nobody",
    typing: "nobody",
    discoverable: "nobody",
    messages: "followers",
    requireFollowApproval: true,
  },
};

/** Which preset these settings are, if any. */
export function presetOf(privacy: Privacy): Preset | null {
  return PRESET_NAMES.find((name) => isSamePrivacy(PRESETS[name], privacy)) ?? null;
}

export function isSamePrivacy(one: Privacy, other: Privacy): boolean {
  return (Object.keys(one) as (keyof Privacy)[]).every((key) => one[key] === other[key]);
}
