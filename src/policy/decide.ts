/**
 * Who may see or do what to whom: one pure function, asked by every use case. For lists the database says the same in
 * `people_seen_by` (migration 1010); decide.db.test.ts holds the two equal, so change both or neither.
 */

import { hasRole, type Actor, type Role } from "#src/kernel/actor";
import type { Facet, Privacy } from "./privacy.ts";

/** How an account stands at this moment. */
export type Status = "active" | "suspended" | "banned" | "deactivated" | "erased";

/** Who asks. An `Actor` is one. */
export type Viewer = Pick<Actor, "userId" | "role" | "restricted" | "limited">;

/** Whom it is about. */
export interface Target {
  readonly id: string;
  readonly status: Status;
  /** What a `limit` restriction took from them. */
  readonly limited: readonly string[];
  readonly privacy: Privacy;
  /** Only asked for "block". */
  readonly role?: Role;
}

/** What stands between the two. */
export interface Relationship {
  /** One of them blocked the other, whichever it was. */
  readonly blocked: boolean;
  /** The viewer did. */
  readonly blocking: boolean;
  /** The viewer follows the target, and that was accepted. */
  readonly follows: boolean;
}

/**
 * `view` is that they are there, with their names; `view_profile` the profile whole, without which nobody sees address or
 * lists. `find` is search, `watch` presence. What
 * a followee does about a follower is `accept`, and `drop`: rejecting a request, removing a follower.
 */
export type SocialAction =
  | "view"
  | "view_profile"
  | "view_email"
  | "view_followers"
  | "view_following"
  | "find"
  | "watch"
  | "type"
  | "message"
  | "follow"
  | "unfollow"
  | "accept"
  | "drop"
  | "block"
  | "unblock"
  | "mute"
  | "unmute"
  | "edit_profile";

/**
 * `hidden`: as if the target did not exist. `unavailable`: there, but restricted, so nothing personal is shown or done.
 * `private`: the target does not show it to this viewer. `unlisted`: not found by search. `self`: senseless with oneself.
 * `staff`: not with staff. `restricted`, `limited`: the viewer may not, because of a restriction of their own.
 */
export type Refusal = "hidden" | "unavailable" | "private" | "unlisted" | "self" | "staff" | "restricted" | "limited";

export type Decision = "allow" | { readonly refuse: Refusal };

/** Somebody with an account who has nothing to do with anybody: the nil UUID is nobody's. */
export const STRANGER: Viewer = {
  userId: "00000000-0000-0000-0000-000000000000" as Actor["userId"],
  role: "user",
  restricted: false,
  limited: new Set(),
};

const hidden: Decision = { refuse: "hidden" };
const unavailable: Decision = { refuse: "unavailable" };
const secret: Decision = { refuse: "private" };
const restricted: Decision = { refuse: "restricted" };

type Rule = (viewer: Viewer, target: Target, relationship: Relationship) => Decision;

/** Between two people of whom neither blocked the other. */
const RULES: Readonly<Record<SocialAction, Rule>> = {
  view: decideView,
  view_profile: profileRule("profile"),
  view_email: decideEmail,
  view_followers: profileRule("followersList"),
  view_following: profileRule("followingList"),
  find: decideFind,
  watch: contactRule("lastSeen"),
  type: contactRule("typing"),
  message: decideMessage,
  follow: decideFollow,
  accept: decideAct,
  block: decideBlock,
  unfollow: decideEnd,
  drop: decideEnd,
  unblock: decideEnd,
  mute: decideEnd,
  unmute: decideEnd,
  edit_profile: () => hidden,
};

/** What somebody does to themselves; everything else is senseless. */
const TO_ONESELF: ReadonlySet<SocialAction> = new Set<SocialAction>([
  "view",
  "view_profile",
  "view_email",
  "view_followers",
  "view_following",
  "find",
  "watch",
]);

/** What visitors may ask for at all: no list, no address, nobody's coming and going, nothing that is done. */
const TO_VISITORS: ReadonlySet<SocialAction> = new Set<SocialAction>(["view", "view_profile", "view_followers", "view_following"]);

const NOTHING_BETWEEN: Relationship = { blocked: false, blocking: false, follows: false };

/**
 * Decides. The order of the rules is part of them: what hides comes before what explains.
 * @param viewer null for a visitor: somebody without an account
 */
export function decide(viewer: Viewer | null, target: Target, relationship: Relationship, action: SocialAction): Decision {
  if (viewer === null) return decideForVisitor(target, action);
  // Whoever blocked somebody knows of them, and may take it back even when they are gone.
  if (relationship.blocking && action === "unblock") return decideEnd(viewer);
  if (target.status === "deactivated" || target.status === "erased") return hidden;
  if (viewer.userId === target.id) return decideSelf(viewer, action);
  if (relationship.blocking && action === "block") return decideEnd(viewer);
  if (relationship.blocked) return hidden;
  return RULES[action](viewer, target, relationship);
}

/**
 * A visitor is a stranger who may be anybody, also who was blocked and signed out. So whoever is not for everyone to find, by their
 * own wish or a restriction, is not there; of others is seen what a stranger sees, without lists and address.
 */
function decideForVisitor(target: Target, action: SocialAction): Decision {
  const isFound = target.privacy.discoverable === "everyone" && !target.limited.includes("be_found");
  const isThere = target.status !== "deactivated" && target.status !== "erased";
  return isFound && isThere && TO_VISITORS.has(action) ? RULES[action](STRANGER, target, NOTHING_BETWEEN) : hidden;
}

/** What a follow comes to where it is allowed. */
export function followedAs(target: Pick<Target, "privacy">): "accepted" | "requested" {
  return target.privacy.requireFollowApproval ? "requested" : "accepted";
}

function decideView(viewer: Viewer, target: Target): Decision {
  return target.status === "active" || hasRole(viewer.role, "moderator") ? "allow" : unavailable;
}

function holds(target: Target, { follows }: Relationship, facet: Facet): boolean {
  const audience = target.privacy[facet];
  return audience === "everyone" || (audience === "followers" && follows);
}

/** Moderators see profiles and lists whole: they judge them. */
function profileRule(facet: "profile" | "followersList" | "followingList"): Rule {
  return (viewer, target, relationship) => {
    const seen = decideView(viewer, target);
    if (seen !== "allow" || hasRole(viewer.role, "moderator")) return seen;
    return holds(target, relationship, "profile") && holds(target, relationship, facet) ? "allow" : secret;
  };
}

/** The address is not for moderators to see here: where they may, it is by the routes of admins. */
function decideEmail(viewer: Viewer, target: Target, relationship: Relationship): Decision {
  const seen = decideView(viewer, target);
  if (seen !== "allow") return seen;
  return holds(target, relationship, "profile") && holds(target, relationship, "email") ? "allow" : secret;
}

function decideFind(viewer: Viewer, target: Target, relationship: Relationship): Decision {
  const seen = decideView(viewer, target);
  if (seen !== "allow" || hasRole(viewer.role, "moderator")) return seen;
  return target.limited.includes("be_found") || !holds(target, relationship, "discoverable") ? { refuse: "unlisted" } : "allow";
}

/** Whether somebody is there and writes is no business of moderators. */
function contactRule(facet: "lastSeen" | "typing"): Rule {
  return (viewer, target, relationship) => {
    const seen = decideView(viewer, target);
    return seen === "allow" && !holds(target, relationship, facet) ? secret : seen;
  };
}

function decideMessage(viewer: Viewer, target: Target, relationship: Relationship): Decision {
  const able = decideAct(viewer, target);
  if (able !== "allow") return able;
  if (viewer.limited.has("message")) return { refuse: "limited" };
  return holds(target, relationship, "messages") ? "allow" : secret;
}

function decideAct(viewer: Viewer, target: Target): Decision {
  if (viewer.restricted) return restricted;
  return target.status === "active" ? "allow" : unavailable;
}

function decideFollow(viewer: Viewer, target: Target): Decision {
  if (viewer.restricted) return restricted;
  if (viewer.limited.has("follow")) return { refuse: "limited" };
  return target.status === "active" ? "allow" : unavailable;
}

/** Staff must be able to look at whoever they look after. Somebody restricted may be blocked: they may come back. */
function decideBlock(viewer: Viewer, target: Target): Decision {
  if (viewer.restricted) return restricted;
  return hasRole(target.role ?? "user", "moderator") ? { refuse: "staff" } : "allow";
}

/** Ending something is always open to whoever is not restricted, and so is muting. */
function decideEnd(viewer: Viewer): Decision {
  return viewer.restricted ? restricted : "allow";
}

function decideSelf(viewer: Viewer, action: SocialAction): Decision {
  if (TO_ONESELF.has(action)) return "allow";
  if (action !== "edit_profile") return { refuse: "self" };
  if (viewer.restricted) return restricted;
  return viewer.limited.has("edit_profile") ? { refuse: "limited" } : "allow";
}
