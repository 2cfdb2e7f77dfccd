/** What a notice can say: its type and the shape of `data`, as kept in the JSON column and as shown. Additive only. */

import { z } from "zod";
import { REASON_CODES } from "#src/contract/restriction-reasons";
import { CAPABILITIES } from "#src/kernel/actor";

const kind = z.enum(["limit", "suspend", "ban"]);
const instant = z.iso.datetime();

const restrictionImposed = z.object({
  type: z.literal("restriction.imposed"),
  data: z.object({
    restrictionId: z.uuid(),
    kind,
    reason: z.enum(REASON_CODES),
    message: z.string().nullable().describe("What the moderator wrote to the user"),
    capabilities: z.array(z.enum(CAPABILITIES)).describe("What a limit takes away; empty for the other kinds"),
    startsAt: instant,
    expiresAt: instant.nullable(),
  }),
});

const restrictionEnded = z.object({
  type: z.literal("restriction.ended").describe("It reached its end"),
  data: z.object({ restrictionId: z.uuid(), kind }),
});

const restrictionLifted = z.object({
  type: z.literal("restriction.lifted").describe("It was taken back"),
  data: z.object({ restrictionId: z.uuid(), kind }),
});

const refreshReuse = z.object({
  type: z.literal("security.refresh_reuse").describe("A used refresh token came back: a sign of theft; the session was ended"),
  data: z.object({ sessionId: z.uuid(), device: z.string().nullable().describe("The session's device, as it named itself") }),
});

/** Every kind of notice. */
export const noticeTypes = [restrictionImposed, restrictionEnded, restrictionLifted, refreshReuse] as const;

const noticeContent = z.discriminatedUnion("type", noticeTypes);

/** What to tell: a type with its data; instants as ISO text, for this is JSON. */
export type NoticeContent = z.infer<typeof noticeContent>;

/** Reads what a row holds. @throws ZodError when the row was not written by `addNotice` */
export function parseContent(type: string, data: unknown): NoticeContent {
  return noticeContent.parse({ type, data });
}
