import { describe, expect, it } from "@jest/globals";
import type { Capability, Role } from "#src/kernel/actor";
import type { UserId } from "#src/kernel/ids";
import { decide, type Decision, type SocialAction, type Status, type Target, type Viewer } from "./decide.ts";

const ann = "00000000-0000-7000-8000-00000000000a";
const bob = "00000000-0000-7000-8000-00000000000b";

function viewer(more: { role?: Role; restricted?: boolean; limited?: Capability[] } = {}): Viewer {
  return { userId: ann as UserId, role: more.role ?? "user", restricted: more.restricted ?? false, limited: new Set(more.limited) };
}

function target(more: { id?: string; status?: Status; limited?: string[] } = {}): Target {
  return { id: more.id ?? bob, status: more.status ?? "active", limited: more.limited ?? [] };
}

const apart = { blocked: false };
const blocked = { blocked: true };
const everyAction: SocialAction[] = ["view", "find", "watch", "follow", "unfollow", "edit_profile"];

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
});
