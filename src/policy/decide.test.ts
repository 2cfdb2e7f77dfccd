import { describe, expect, it } from "@jest/globals";
import type { Capability, Role } from "#src/kernel/actor";
import type { UserId } from "#src/kernel/ids";
import { decide, followedAs, type Decision, type SocialAction, type Status, type Target, type Viewer } from "./decide.ts";
import { PRESETS, type Audience, type Facet, type Privacy } from "./privacy.ts";

const ann = "00000000-0000-7000-8000-00000000000a";
const bob = "00000000-0000-7000-8000-00000000000b";

function viewer(more: { role?: Role; restricted?: boolean; limited?: Capability[] } = {}): Viewer {
  return { userId: ann as UserId, role: more.role ?? "user", restricted: more.restricted ?? false, limited: new Set(more.limited) };
}

function target(more: { id?: string; status?: Status; limited?: string[]; privacy?: Partial<Privacy> } = {}): Target {
  return {
    id: more.id ?? bob,
    status: more.status ?? "active",
    limited: more.limited ?? [],
    privacy: { ...PRESETS.open, ...more.privacy },
  };
}

const apart = { blocked: false, blocking: false, follows: false };
const following = { ...apart, follows: true };
const blocked = { ...apart, blocked: true };
const blocking = { ...blocked, blocking: true };
const everyAction: SocialAction[] = [
  ...(["view", "view_profile", "view_email", "view_followers", "view_following", "find", "watch", "type", "message"] as const),
  ...(["follow", "unfollow", "accept", "drop", "block", "unblock", "mute", "unmute", "edit_profile"] as const),
];

describe("decide", () => {
  it.each<SocialAction>(["view", "find", "watch", "follow", "unfollow"])("lets anybody %s an active account", (action) => {
    expect(decide(viewer(), target(), apart, action)).toBe("allow");
  });

  it.each(everyAction)("hides a block either way before anything else: %s", (action) => {
    for (const role of ["user", "moderator", "admin"] as const) {
      const who = viewer({ role, restricted: true, limited: ["follow"] });
      expect(decide(who, target({ status: "banned", limited: ["be_found"] }), blocked, action)).toEqual({ refuse: "hidden" });
    }
  });

  it.each(["deactivated", "erased"] as const)("hides %s accounts from everybody, themselves included", (status) => {
    for (const action of everyAction) {
      expect(decide(viewer({ role: "admin" }), target({ status }), apart, action)).toEqual({ refuse: "hidden" });
      expect(decide(viewer(), target({ id: ann, status }), apart, action)).toEqual({ refuse: "hidden" });
    }
  });

  it.each(["suspended", "banned"] as const)("calls a %s account unavailable", (status) => {
    for (const action of ["view", "find", "watch", "follow"] as const) {
      expect(decide(viewer(), target({ status }), apart, action)).toEqual({ refuse: "unavailable" });
    }
    expect(decide(viewer(), target({ status }), apart, "unfollow")).toBe("allow");
  });

  it.each<[Role, SocialAction, Decision]>([
    ["moderator", "view", "allow"],
    ["moderator", "find", "allow"],
    ["admin", "watch", "allow"],
    ["admin", "follow", { refuse: "unavailable" }],
  ])("lets a %s %s a restricted account: %j", (role, action, decision) => {
    expect(decide(viewer({ role }), target({ status: "banned", limited: ["be_found"] }), apart, action)).toEqual(decision);
  });

  it("takes an account without be_found out of search only", () => {
    const unlisted = target({ limited: ["be_found"] });
    expect(decide(viewer(), unlisted, apart, "find")).toEqual({ refuse: "unlisted" });
    expect(decide(viewer({ role: "moderator" }), unlisted, apart, "find")).toBe("allow");
    expect(decide(viewer(), unlisted, apart, "view")).toBe("allow");
  });

  it("lets nobody follow whom the viewer's own restriction forbids", () => {
    expect(decide(viewer({ limited: ["follow"] }), target(), apart, "follow")).toEqual({ refuse: "limited" });
    expect(decide(viewer({ limited: ["follow"] }), target(), apart, "unfollow")).toBe("allow");
    expect(decide(viewer({ restricted: true }), target(), apart, "follow")).toEqual({ refuse: "restricted" });
    expect(decide(viewer({ restricted: true }), target(), apart, "unfollow")).toEqual({ refuse: "restricted" });
  });

  it("knows oneself", () => {
    const self = target({ id: ann, limited: ["be_found"] });
    expect(decide(viewer(), self, apart, "view")).toBe("allow");
    expect(decide(viewer(), self, apart, "find")).toBe("allow");
    expect(decide(viewer(), self, apart, "follow")).toEqual({ refuse: "self" });
    expect(decide(viewer(), self, apart, "unfollow")).toEqual({ refuse: "self" });
  });

  it("lets a profile be edited by its owner only, while they may", () => {
    const self = target({ id: ann });
    expect(decide(viewer(), self, apart, "edit_profile")).toBe("allow");
    expect(decide(viewer({ limited: ["edit_profile"] }), self, apart, "edit_profile")).toEqual({ refuse: "limited" });
    expect(decide(viewer({ restricted: true }), self, apart, "edit_profile")).toEqual({ refuse: "restricted" });
    expect(decide(viewer({ role: "admin" }), target(), apart, "edit_profile")).toEqual({ refuse: "hidden" });
  });

  it.each<[Facet, SocialAction]>([
    ["profile", "view_profile"],
    ["email", "view_email"],
    ["followersList", "view_followers"],
    ["followingList", "view_following"],
    ["lastSeen", "watch"],
    ["typing", "type"],
    ["messages", "message"],
    ["discoverable", "find"],
  ])("lets whom %s says, and its owner, %s", (facet, action) => {
    const refusal: Decision = { refuse: action === "find" ? "unlisted" : "private" };
    const expected: [Audience, Decision, Decision][] = [
      ["everyone", "allow", "allow"],
      ["followers", refusal, "allow"],
      ["nobody", refusal, refusal],
    ];
    for (const [audience, toStrangers, toFollowers] of expected) {
      const owner = target({ privacy: { email: "everyone", [facet]: audience } });
      expect([audience, decide(viewer(), owner, apart, action)]).toEqual([audience, toStrangers]);
      expect([audience, decide(viewer(), owner, following, action)]).toEqual([audience, toFollowers]);
    }
    const oneself = target({ id: ann, privacy: { [facet]: "nobody" } });
    expect(decide(viewer(), oneself, apart, action)).toEqual(action === "type" || action === "message" ? { refuse: "self" } : "allow");
  });

  it("shows address and lists to nobody who may not see the profile", () => {
    const owner = target({ privacy: { profile: "followers", email: "everyone" } });
    for (const action of ["view_email", "view_followers", "view_following"] as const) {
      expect(decide(viewer(), owner, apart, action)).toEqual({ refuse: "private" });
      expect(decide(viewer(), owner, following, action)).toBe("allow");
    }
    expect(decide(viewer(), owner, apart, "view")).toBe("allow");
  });

  it("lets moderators see what they judge, and neither address nor whereabouts", () => {
    const owner = target({ privacy: PRESETS.private });
    const allowed = everyAction.filter((action) => decide(viewer({ role: "moderator" }), owner, apart, action) === "allow");
    expect(allowed.filter((action) => /view|find|watch|type|message/.test(action))).toEqual([
      "view",
      "view_profile",
      "view_followers",
      "view_following",
      "find",
    ]);
  });

  it("asks the owner first where they want to be asked", () => {
    expect(followedAs(target())).toBe("accepted");
    expect(followedAs(target({ privacy: { requireFollowApproval: true } }))).toBe("requested");
  });

  it("lets who blocked take it back or do it again, whatever became of the other, and do nothing else", () => {
    for (const status of ["active", "suspended", "deactivated", "erased"] as const) {
      const allowed = everyAction.filter((action) => decide(viewer(), target({ status }), blocking, action) === "allow");
      expect([status, allowed]).toEqual([status, status === "active" || status === "suspended" ? ["block", "unblock"] : ["unblock"]]);
    }
    expect(decide(viewer({ restricted: true }), target(), blocking, "unblock")).toEqual({ refuse: "restricted" });
  });

  it("lets nobody block staff, and anybody block who is restricted", () => {
    for (const role of ["moderator", "admin"] as const) {
      expect(decide(viewer(), { ...target(), role }, apart, "block")).toEqual({ refuse: "staff" });
      expect(decide(viewer(), { ...target(), role }, apart, "mute")).toBe("allow");
    }
    expect(decide(viewer(), target({ status: "banned" }), apart, "block")).toBe("allow");
  });

  it("lets a restricted account do nothing to anybody", () => {
    for (const action of ["follow", "unfollow", "accept", "drop", "block", "unblock", "mute", "unmute", "message"] as const) {
      expect([action, decide(viewer({ restricted: true }), target(), apart, action)]).toEqual([action, { refuse: "restricted" }]);
    }
  });
});

describe("decide for visitors", () => {
  const visited = (more: Parameters<typeof target>[0], action: SocialAction): Decision => decide(null, target(more), apart, action);

  it("shows what is for everyone, without address and lists to go through", () => {
    const shown = everyAction.filter((action) => visited({ privacy: { email: "everyone" } }, action) === "allow");
    expect(shown).toEqual(["view", "view_profile", "view_followers", "view_following"]);
    for (const action of everyAction.filter((one) => !shown.includes(one))) expect(visited({}, action)).toEqual({ refuse: "hidden" });
  });

  it.each<Audience>(["followers", "nobody"])("shows names and picture at most where the profile is for %s", (profile) => {
    expect(visited({ privacy: { profile } }, "view")).toBe("allow");
    for (const action of ["view_profile", "view_followers", "view_following"] as const) {
      expect(visited({ privacy: { profile } }, action)).toEqual({ refuse: "private" });
    }
  });

  it("shows nothing of whoever is not for everyone to find, by their wish or a restriction, however they stand", () => {
    for (const status of ["active", "suspended", "banned"] as const) {
      for (const action of everyAction) {
        for (const more of [
          { privacy: { discoverable: "nobody" } },
          { privacy: { discoverable: "followers" } },
          { limited: ["be_found"] },
        ] as const) {
          expect(visited({ ...more, limited: [...("limited" in more ? more.limited : [])], status }, action)).toEqual({ refuse: "hidden" });
        }
      }
    }
  });

  it("says of restricted accounts that they are unavailable, and of ended ones nothing", () => {
    expect(visited({ status: "banned" }, "view")).toEqual({ refuse: "unavailable" });
    expect(visited({ status: "suspended" }, "view_profile")).toEqual({ refuse: "unavailable" });
    expect(visited({ status: "erased" }, "view")).toEqual({ refuse: "hidden" });
    expect(visited({ status: "deactivated" }, "view")).toEqual({ refuse: "hidden" });
  });
});
