/** What the doors of this feature take. */

import { z } from "zod";
import { REASON_CODES, REASON_POLICY, RESTRICTION_REASONS } from "#src/contract/restriction-reasons";
import { CAPABILITIES } from "#src/kernel/actor";

// Control characters but line feed, line and paragraph separators, and marks that turn the direction of text around.
const UNSHOWABLE = /(?!\n)\p{Cc}|[\p{Cs}\p{Zl}\p{Zp}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/u;

/** Text that people will read: trimmed, at most so many characters. */
export const shown = (limit: number): z.ZodString =>
  z
    .string()
    .overwrite((text) => text.replaceAll("\r\n", "\n").trim())
    .min(1, "at least one character")
    .max(limit, `at most ${limit} characters`)
    .refine((text) => !UNSHOWABLE.test(text), "no control characters, and none that turn the direction of text");

const shownText = shown(1000);

const instant = z.iso.datetime({ offset: true, error: "a moment like 2026-11-24T15:00:00Z" });

const reasons = Object.entries(RESTRICTION_REASONS)
  .map(([code, words]) => `\`${code}\`: ${words}`)
  .join("; ");

/** An id in the one form that rows hold, so that it compares as text. */
const id = z.uuid().toLowerCase();

export const userParams = z.strictObject({ id });
export const restrictionParams = z.strictObject({ id });

export const impositionBody = z
  .strictObject({
    kind: z.enum(["limit", "suspend", "ban"]).describe("`limit` takes capabilities away; `suspend` has an end; `ban` may have one"),
    reason: z.enum(REASON_CODES).describe(`List ${REASON_POLICY}. ${reasons}`),
    message: shownText.optional().describe("Shown to the user, in the app and by mail"),
    startsAt: instant.optional().describe("Left out or past: now"),
    expiresAt: instant.optional().describe("Needed for suspend; at most 10 years after the start"),
    capabilities: z.array(z.enum(CAPABILITIES)).min(1).max(CAPABILITIES.length).optional().describe("Needed for limit, and only there"),
  })
  .superRefine((body, context) => {
    const refuse = (path: string, message: string): void => context.addIssue({ code: "custom", path: [path], message });
    if (body.kind === "suspend" && body.expiresAt === undefined) refuse("expiresAt", "a suspension needs its end; what has none is a ban");
    if (body.kind === "limit" && body.capabilities === undefined) refuse("capabilities", "a limit needs the capabilities it takes away");
    if (body.kind !== "limit" && body.capabilities !== undefined) refuse("capabilities", "only a limit has capabilities");
  });

export const liftBody = z.strictObject({ note: shownText.describe("Why, for the record; not shown to the user") });
