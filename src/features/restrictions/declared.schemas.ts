/** What the internal door for declared restrictions takes: the contract, and what this service asks beyond it. */

import { z } from "zod";
import { externalId, restrictionEnd, restrictionSource, restrictionWish, type RestrictionWish } from "#src/contract/external-restrictions";
import { emailAddress } from "#src/features/accounts/public";
import { CAPABILITIES } from "#src/kernel/actor";
import { shown } from "./restrictions.schemas.ts";

export const sourceParams = z.object({ source: restrictionSource });
export const declaredParams = z.object({ source: restrictionSource, externalId });

const MAX_PAGE = 500;

export const declaredQuery = z.object({
  after: externalId.optional(),
  limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(100),
});

type Mistake = readonly [path: string, message: string];

function userMistakes({ user }: Pick<RestrictionWish, "user">): Mistake[] {
  // Nobody can register with anything else: it would be waited for in vain.
  if (!("email" in user) || emailAddress.safeParse(user.email).success) return [];
  return [["user.email", "an e-mail address like ann@example.com"]];
}

function termMistakes({ kind, expiresAt, durationSeconds }: Pick<RestrictionWish, "kind" | "expiresAt" | "durationSeconds">): Mistake[] {
  if (expiresAt !== undefined && durationSeconds !== undefined) return [["durationSeconds", "only one of expiresAt and durationSeconds"]];
  const hasEnd = expiresAt !== undefined || durationSeconds !== undefined;
  return kind === "suspend" && !hasEnd
    ? [["expiresAt", "a suspension needs its end, by expiresAt or durationSeconds; what has none is a ban"]]
    : [];
}

function capabilityMistakes({ kind, capabilities = [] }: Pick<RestrictionWish, "kind" | "capabilities">): Mistake[] {
  if (kind === "limit" && capabilities.length === 0) return [["capabilities", "a limit needs the capabilities it takes away"]];
  return kind !== "limit" && capabilities.length > 0 ? [["capabilities", "only a limit has capabilities"]] : [];
}

/** Texts as moderators' are, capabilities that exist, and a kind that has what it needs. */
export const wishBody = restrictionWish
  .extend({
    capabilities: z.array(z.enum(CAPABILITIES)).max(16).optional(),
    reason: shown(500),
    message: shown(1000).optional(),
    requestedBy: shown(256),
  })
  .superRefine((body, context) => {
    for (const [path, message] of [...userMistakes(body), ...termMistakes(body), ...capabilityMistakes(body)]) {
      context.addIssue({ code: "custom", path: path.split("."), message });
    }
  });
export type WishBody = z.infer<typeof wishBody>;

export const endBody = restrictionEnd.extend({ note: shown(500) });
export type EndBody = z.infer<typeof endBody>;
