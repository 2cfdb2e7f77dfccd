/**
 * Who may see or do what to whom: one pure function, asked by every use case. For lists the database says the same in
 * `people_seen_by` (migration 0310); decide.db.test.ts holds the two equal, so change both or neither.
 */

import { hasRole, type Actor } from "#src/kernel/actor";

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
}

/** What stands between the two. */
export interface Relationship {
  /** One of them blocked the other, whichever it was. */
  readonly blocked: boolean;
}

/** `view` covers profile, lists and counts; `find` search; `watch` presence and changes of the profile. */
export type SocialAction = "view" | "find" | "watch" | "follow" | "unfollow" | "edit_profile";

/**
 * `hidden`: as if the target did not exist. `unavailable`: there, but restricted, so nothing personal is shown or done.
 * `unlisted`: not found by search. `self`: senseless with oneself. `restricted`, `limited`: the viewer may not, because of
 * a restriction of their own.
 */
export type Refusal = "hidden" | "unavailable" | "unlisted" | "self" | "restricted" | "limited";

export type Decision = "allow" | { readonly refuse: Refusal };

const hidden: Decision = { refuse: "hidden" };
const unavailable: Decision = { refuse: "unavailable" };

/** Decides. The order of the rules is part of them: what hides comes before what explains. */
export function decide(viewer: Viewer, target: Target, relationship: Relationship, action: SocialAction): Decision {
  if (target.status === "deactivated" || target.status === "erased") return hidden;
  if (viewer.userId === target.id) return decideSelf(viewer, action);
  if (relationship.blocked) return hidden;
  switch (action) {
    case "view":
    case "watch":
      return decideView(viewer, target);
    case "find":
      return decideFind(viewer, target);
    case "follow":
      return decideFollow(viewer, target);
    case "unfollow":
      return viewer.restricted ? { refuse: "restricted" } : "allow";
    case "edit_profile":
      return hidden;
  }
}

function decideView(viewer: Viewer, target: Target): Decision {
  return target.status === "active" || hasRole(viewer.role, "moderator") ? "allow" : unavailable;
}

function decideFind(viewer: Viewer, target: Target): Decision {
  const seen = decideView(viewer, target);
  if (seen !== "allow" || hasRole(viewer.role, "moderator")) return seen;
  return target.limited.includes("be_found") ? { refuse: "unlisted" } : "allow";
}

function decideFollow(viewer: Viewer, target: Target): Decision {
  if (viewer.restricted) return { refuse: "restricted" };
  if (viewer.limited.has("follow")) return { refuse: "limited" };
  return target.status === "active" ? "allow" : unavailable;
}

function decideSelf(viewer: Viewer, action: SocialAction): Decision {
  switch (action) {
    case "view":
    case "watch":
    case "find":
      return "allow";
    case "follow":
    case "unfollow":
      return { refuse: "self" };
    case "edit_profile":
      if (viewer.restricted) return { refuse: "restricted" };
      return viewer.limited.has("edit_profile") ? { refuse: "limited" } : "allow";
  }
}
