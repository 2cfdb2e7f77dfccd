import { describe, expect, it } from "@jest/globals";
import { asLocale, localeOf } from "./locale.ts";

describe("the language of a mail", () => {
  it.each([
    ["nothing", undefined, "en"],
    ["one we speak", "hu", "hu"],
    ["a region of it", "hu-HU,hu;q=0.9,en;q=0.8", "hu"],
    ["a better one", "de, en;q=0.4, hu;q=0.7", "hu"],
    ["the first of equals", "en,hu", "en"],
    ["one that is not wanted", "hu;q=0", "en"],
    ["none of ours", "de,fr", "en"],
    ["a word that begins alike", "hungry", "en"],
    ["nonsense", ";;,q=,hu;q=seven", "en"],
    ["a long header", `${"x,".repeat(50_000)}hu`, "en"],
  ])("follows %s", (_what, header, locale) => {
    expect(localeOf(header)).toBe(locale);
  });

  it("is the default for a stored one that is spoken no more", () => {
    expect([asLocale("hu"), asLocale("xx")]).toEqual(["hu", "en"]);
  });
});
