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
    ["an unknown field", { nickname: "bob" }],
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

describe("what people say of themselves", () => {
  const link = (url: string, label = "x"): object => ({ links: [{ label, url }] });

  it.each<[string, object]>([
    ["six links", { links: Array.from({ length: 6 }, () => ({ label: "x", url: "https://example.com" })) }],
    ["a link without https", link("http://example.com")],
    ["a link that runs", link("javascript:alert(1)")],
    ["a link with a password", link("https://ann:secret@example.com")],
    ["a link with a direction mark", link("https://example.com/\u202Egnp.exe")],
    ["a label of 31", link("https://example.com", "x".repeat(31))],
    ["a label with a direction mark", link("https://example.com", "a\u202Eb")],
    ["a link with more", { links: [{ label: "x", url: "https://example.com", rel: "me" }] }],
    ["pronouns of 41", { pronouns: "x".repeat(41) }],
    ["pronouns with a line feed", { pronouns: "she\nher" }],
    ["a place with a direction mark", { location: "Sze\u2066ged" }],
    ["a place of 61", { location: "x".repeat(61) }],
    ["a zone that is none", { timezone: "Europe/Atlantis" }],
    ["an offset for a zone", { timezone: "+01:00" }],
  ])("refuses %s", (_, change) => {
    expect(profileChange.safeParse(change).success).toBe(false);
  });

  it("writes links as browsers read them, so that look-alike hosts show as what they are", () => {
    expect(profileChange.parse(link("https://\u0430pple.com"))).toEqual(link("https://xn--pple-43d.com/"));
    expect(profileChange.parse({ timezone: "UTC", pronouns: " they / them ", location: null })).toEqual({
      timezone: "UTC",
      pronouns: "they / them",
      location: null,
    });
  });
});
