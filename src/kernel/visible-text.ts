/** Text that people will see beside other people's: what it may not hold, and how long it is as people count. */

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

// Control (Cc), format (Cf: bidi overrides, zero-width marks, soft hyphen, tags), surrogates, private use, line and paragraph separators;
// what a renderer leaves out (variation selectors, fillers and what is reserved for such), noncharacters, and the Braille blank.
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\u2800]|\u{16fe4}/u;

// The honest uses of invisible characters, taken out before looking: joiners within an emoji or between letters of the scripts that
// need them (Arabic, Indic, …), the tags of a regional flag, the selector after an emoji, a Mongolian letter or an ideograph.
const EMOJI_JOINER = /(?<=\p{Extended_Pictographic}\ufe0f?\p{Emoji_Modifier}?)\u200d(?=\p{Extended_Pictographic})/gu;
const FLAG_TAGS = /(?<=\u{1f3f4})[\u{e0030}-\u{e0039}\u{e0061}-\u{e007a}]{2,6}\u{e007f}/gu;
const SCRIPT_JOINER =
  /(?<=[\p{Script=Arabic}\p{Script=Syriac}\p{Script=Mongolian}\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Gurmukhi}\p{Script=Gujarati}\p{Script=Oriya}\p{Script=Tamil}\p{Script=Telugu}\p{Script=Kannada}\p{Script=Malayalam}\p{Script=Sinhala}\p{Script=Khmer}\p{M}])[\u200c\u200d](?=[\p{L}\p{M}\s]|$)/gu;

const SELECTOR =
  /(?<=\p{Extended_Pictographic})[\ufe0e\ufe0f]|(?<=[0-9#*])\ufe0f(?=\u20e3)|(?<=\p{Script=Mongolian})[\u180b-\u180d\u180f]|(?<=\p{Script=Han})[\ufe00-\ufe02\u{e0100}-\u{e01ef}]/gu;

const MARKS_ONLY = /^[\p{M}\s]*\p{M}[\p{M}\s]*$/u;

/** More marks than this on one letter climb into the lines above and below. */
const PILED_MARKS = /\p{M}{6,}/u;

/** Whether the text can be seen and nothing in it is invisible, turns its direction or climbs out of its line. A line feed counts as visible where `lines` is "many". */
export function isVisibleText(text: string, lines: "one" | "many"): boolean {
  if (!text.isWellFormed()) return false;
  const plain = (lines === "many" ? text.replaceAll("\n", " ") : text)
    .replaceAll(EMOJI_JOINER, "")
    .replaceAll(FLAG_TAGS, "")
    .replaceAll(SCRIPT_JOINER, "")
    .replaceAll(SELECTOR, "");
  return !INVISIBLE.test(plain) && !PILED_MARKS.test(plain) && !MARKS_ONLY.test(plain);
}

/** Whether the text has at most `limit` characters as people count them (grapheme clusters, UAX #29). Stops counting there. */
export function hasAtMostGraphemes(text: string, limit: number): boolean {
  if (text.length <= limit) return true;
  let count = 0;
  for (const _ of graphemes.segment(text)) {
    count += 1;
    if (count > limit) return false;
  }
  return true;
}
