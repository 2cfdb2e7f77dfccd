/** What a provider says of somebody, as far as it can be used here. */

import { z } from "zod";
import { displayName, emailAddress } from "#src/features/accounts/public";
import { Problem } from "#src/kernel/problem";
import { isCleanText } from "#src/kernel/unsafe-text";
import { responseRefused } from "./identities.errors.ts";

/** Somebody who has signed in at a provider. */
export interface ProvedIdentity {
  readonly provider: string;
  readonly issuer: string;
  readonly subject: string;
  /** Undefined where there is none, or none that could be an account's. */
  readonly email: string | undefined;
  /** Whether the provider says that it has made sure of the address. */
  readonly emailVerified: boolean;
  readonly displayName: string | undefined;
  /** What a user name could be made of, the best first. */
  readonly nameHints: readonly string[];
}

/** OpenID Connect Core 1.0, 2: at most 255 ASCII characters. Clean is enough here; it is compared and kept, never shown. */
const subject = z.string().min(1).max(255).refine(isCleanText);
const hint = z.string().max(200).refine(isCleanText);

/** Reads them; what is odd about others than the subject counts as not said. @throws Problem `oidc.response_refused` */
export function provedIdentity(
  { id: provider, issuer }: { readonly id: string; readonly issuer: string },
  claims: Readonly<Record<string, unknown>>,
): ProvedIdentity {
  const read = subject.safeParse(claims["sub"]);
  if (!read.success) throw new Problem(responseRefused);
  const email = emailAddress.safeParse(claims["email"]).data;
  // Names that are addresses would tell everybody the address.
  const nameHints = ["preferred_username", "nickname", "name"]
    .map((name) => hint.safeParse(claims[name]).data)
    .filter((name) => name !== undefined && !name.includes("@")) as string[];
  return {
    provider,
    issuer,
    subject: read.data,
    email,
    emailVerified: email !== undefined && claims["email_verified"] === true,
    displayName: displayName.safeParse(claims["name"]).data,
    nameHints,
  };
}
