/** What is kept of one's preferences, version after version, and how an older one becomes the one of now. Pure. */

import { z } from "zod";

export const THEMES = ["system", "light", "dark"] as const;

/** Kinds of notices one may turn off, by channel. What is about security and moderation is not among them. */
export const NOTICE_KINDS = ["follows", "followRequests", "followAccepted"] as const;
export type NoticeKind = (typeof NOTICE_KINDS)[number];

const channels = z.strictObject({ app: z.boolean(), push: z.boolean() });

/** Everything there is to prefer, whole, but the language: that is a column of the account, for mail asks for it. */
export const preferencesSchema = z.strictObject({
  theme: z.enum(THEMES).describe("How clients look; system: as the device"),
  reducedMotion: z.boolean().describe("Whether clients should move less"),
  notifications: z.strictObject({
    follows: channels.describe("Somebody began to follow you"),
    followRequests: channels.describe("Somebody asks to follow you"),
    followAccepted: channels.describe("Somebody said yes to your request"),
  }),
});
export type Preferences = z.infer<typeof preferencesSchema>;

const both = { app: true, push: true };
export const DEFAULTS: Preferences = {
  theme: "system",
  reducedMotion: false,
  notifications: { follows: both, followRequests: both, followAccepted: both },
};

export type Json = { readonly [key: string]: unknown };

/** `STEPS[n - 1]` makes version n + 1 of version n. A version is never taken out: a row may be as old as the first. */
export const STEPS: readonly ((data: Json) => Json)[] = [];

/** The version that is written. */
export const VERSION = STEPS.length + 1;

/**
 * What a row says, as of now. What is missing is as by default, and so is what is not understood: a newer process, which this one
 * runs beside or was rolled back from, may have written it.
 */
export function upgrade(stored: { readonly version: number; readonly data: Json } | undefined, steps = STEPS): Preferences {
  if (stored === undefined) return DEFAULTS;
  const data = steps.slice(Math.max(0, stored.version - 1)).reduce((before, step) => step(before), stored.data);
  return fill(preferencesSchema, DEFAULTS, data) as Preferences;
}

/** Key by key: one bad value costs that value, not the rest. */
function fill(schema: z.ZodType, byDefault: unknown, data: unknown): unknown {
  if (!(schema instanceof z.ZodObject)) return schema.safeParse(data).success ? data : byDefault;
  const given: Json = isJson(data) ? data : {};
  return Object.fromEntries(
    Object.entries(schema.shape).map(([key, part]) => [
      key,
      fill(part as z.ZodType, (byDefault as Json)[key], Object.hasOwn(given, key) ? given[key] : undefined),
    ]),
  );
}

function isJson(data: unknown): data is Json {
  return typeof data === "object" && data !== null && !Array.isArray(data);
}
