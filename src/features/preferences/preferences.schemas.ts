/** What the doors of preferences take and give. */

import { z } from "zod";
import { LOCALES } from "#src/kernel/locale";
import { NOTICE_KINDS, preferencesSchema } from "./versions.ts";

const language = z.enum(LOCALES).describe("In which we write to you");

export const preferencesView = preferencesSchema.extend({ language });
export type PreferencesView = z.infer<typeof preferencesView>;

const channelsChange = z.strictObject({
  app: z
    .boolean()
    .optional()
    .describe("In the list of your notices; off: no notice anywhere. Events of your own sockets (`user:followed` …) are no notices"),
  push: z.boolean().optional().describe("On your sockets, as notification"),
});

/** A change of the own preferences: what is left out stays, at every depth. */
export const preferencesChange = z.strictObject({
  language: language.optional(),
  theme: preferencesSchema.shape.theme.optional(),
  reducedMotion: preferencesSchema.shape.reducedMotion.optional(),
  notifications: z
    .strictObject(
      Object.fromEntries(NOTICE_KINDS.map((kind) => [kind, channelsChange.optional()])) as Record<
        (typeof NOTICE_KINDS)[number],
        z.ZodOptional<typeof channelsChange>
      >,
    )
    .optional()
    .describe("By kind and channel. Notices of security and moderation are always told"),
});
export type PreferencesChange = z.infer<typeof preferencesChange>;
