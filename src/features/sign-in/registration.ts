/** A registration that waits for its address to be confirmed: what its token keeps. */

import { z } from "zod";
import type { OneTimeToken, TokenMailJob } from "#src/features/one-time-tokens/public";
import { LOCALES } from "#src/kernel/locale";

const kept = z.object({ username: z.string(), passwordHash: z.string(), locale: z.enum(LOCALES) });

export type Registration = z.infer<typeof kept>;

/** Reads it. @throws ZodError when the token is of another purpose */
export function registrationOf(token: Pick<OneTimeToken, "data">): Registration {
  return kept.parse(token.data);
}

export const linkMailPayload = z.object({ tokenId: z.uuid(), locale: z.enum(LOCALES) });

/** The job that mails what sign-in asked for. */
export const signInMailJob: TokenMailJob & { readonly payload: typeof linkMailPayload } = {
  kind: "sign_in.mail",
  payload: linkMailPayload,
};
