import { describe, expect, it } from "@jest/globals";
import { hasAtMostGraphemes, isVisibleText } from "./visible-text.ts";

describe("visible text", () => {
  it.each([
    ["plain", "Ann O'Neil-Smith 3rd"],
    ["accents, composed and not", "Zoë Ze\u0301"],
    ["Hebrew and Arabic", "שלום سلام"],
    ["Persian with its non-joiner", "می\u200cخواهم"],
    ["Sinhala with its joiner", "ශ්\u200dරී"],
    ["a family", "\u{1f468}\u200d\u{1f469}\u200d\u{1f467}"],
    ["a heart on fire", "\u2764\ufe0f\u200d\u{1f525}"],
    ["a pilot with a skin tone", "\u{1f469}\u{1f3fd}\u200d\u2708\ufe0f"],
    ["the flag of Wales", "\u{1f3f4}\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f}"],
    ["a keycap", "1\ufe0f\u20e3"],
    ["a Mongolian letter's variant", "\u1820\u180b"],
    ["an ideograph's variant", "\u845b\u{e0100}"],
    ["nothing", ""],
    ["Vietnamese with two marks a letter", "Nguye\u0302\u0303n"],
  ])("takes %s", (_, text) => {
    expect(isVisibleText(text, "one")).toBe(true);
  });

  it.each([
    ["NUL", "a\0b"],
    ["escape", "a\u001b[31m"],
    ["a line feed in a name", "a\nb"],
    ["right-to-left override", "ann\u202egpj"],
    ["an isolate", "ann\u2066"],
    ["a zero-width space", "an\u200bn"],
    ["a joiner between Latin letters", "an\u200dn"],
    ["a word joiner", "an\u2060n"],
    ["a byte order mark", "an\ufeffn"],
    ["a soft hyphen", "an\u00adn"],
    ["tags outside a flag", "ann\u{e0061}\u{e007f}"],
    ["a Hangul filler", "\u3164"],
    ["a Braille blank", "\u2800"],
    ...[0xfe0f, 0x180b, 0x180f, 0xe0100, 0x2065, 0xfff0, 0xe0080, 0xe0fff, 0x16fe4, 0xffff, 0x10ffff].flatMap((code) =>
      ["", "ann"].map((before): [string, string] => [`U+${code.toString(16)} after "${before}"`, `${before}${String.fromCodePoint(code)}`]),
    ),
    ["three selectors after an emoji", "\u2764\ufe0f\ufe0f\ufe0f"],
    ["nothing but marks", "\u0301 \u20dd"],
    ["a line separator", "a\u2028b"],
    ["a lone surrogate", "a\ud800"],
    ["private use", "a\ue000"],
    ["piled marks", `a${"\u0301".repeat(6)}`],
  ])("refuses %s", (_, text) => {
    expect(isVisibleText(text, "one")).toBe(false);
  });

  it("lets a text of many lines have line feeds and nothing else", () => {
    expect(isVisibleText("one\n\ntwo", "many")).toBe(true);
    expect(isVisibleText("one\rtwo", "many")).toBe(false);
    expect(isVisibleText("one\ttwo", "many")).toBe(false);
  });

  it("counts characters as people do", () => {
    expect(hasAtMostGraphemes("\u{1f468}\u200d\u{1f469}\u200d\u{1f467}".repeat(50), 50)).toBe(true);
    expect(hasAtMostGraphemes("é".repeat(50), 50)).toBe(true);
    expect(hasAtMostGraphemes("e\u0301".repeat(51), 50)).toBe(false);
    expect(hasAtMostGraphemes("a".repeat(51), 50)).toBe(false);
  });
});
