import { describe, expect, it } from "@jest/globals";
import { profileChange } from "./profiles.schemas.ts";

const family = "\u{1f468}\u200d\u{1f469}\u200d\u{1f467}";

describe("a change of the profile", () => {
  it("keeps a display name as people see it: composed, trimmed, single spaces", () => {
    expect(profileChange.parse({ displayName: "  Zoe\u0308 \u00a0 van  Dyk " })).toEqual({ displayName: "Zoë van Dyk" });
  });

  it("counts 50 characters as people do", () => {
    expect(profileChange.safeParse({ displayName: family.repeat(50) }).success).toBe(true);
    expect(profileChange.safeParse({ displayName: family.repeat(51) }).success).toBe(false);
    expect(profileChange.safeParse({ displayName: "a".repeat(51) }).success).toBe(false);
  });

  it("keeps the line feeds of a bio, whatever ends its lines", () => {
    expect(profileChange.parse({ bio: " one\r\ntwo\n" })).toEqual({ bio: "one\ntwo" });
    expect(profileChange.parse({ bio: "" })).toEqual({ bio: "" });
    expect(profileChange.safeParse({ bio: "a".repeat(501) }).success).toBe(false);
  });

  it.each([
    ["an empty display name", { displayName: "" }],
    ["a blank one", { displayName: " \u3000 " }],
    ["one that turns its direction", { displayName: "ann\u202egpj" }],
    ["one with a line feed", { displayName: "an\nn" }],
    ["null for a display name", { displayName: null }],
    ["a name too long for its index", { displayName: "\u{1f469}\u{1f3fd}\u200d\u2708\ufe0f".repeat(100) }],
    ["a bio with a control character", { bio: "a\u0007" }],
    ["an unknown field", { username: "bob" }],
    ["a number", { bio: 1 }],
  ])("refuses %s", (_, change) => {
    expect(profileChange.safeParse(change).success).toBe(false);
  });

  it.each(["https://cdn.example.com/a.png?size=2#x", null])("takes %s for an avatar", (avatarUrl) => {
    expect(profileChange.parse({ avatarUrl })).toEqual({ avatarUrl });
  });

  it.each([
    "http://example.com/a.png",
    "javascript:alert(1)",
    "data:image/png;base64,AAAA",
    "//example.com/a.png",
    "https://",
    "https://user:secret@example.com/a.png",
    "https://example.com/a b.png",
    "https://example.com/\u202egpj",
    `https://example.com/${"a".repeat(2048)}`,
    "",
  ])("refuses %s for an avatar", (avatarUrl) => {
    expect(profileChange.safeParse({ avatarUrl }).success).toBe(false);
  });
});
