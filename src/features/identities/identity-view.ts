/** An identity as its owner sees it. */

import type { Identity } from "./identities.sql.ts";
import type { Providers } from "./providers.ts";

export interface IdentityView {
  readonly id: string;
  readonly provider: string;
  /** Its id once more where it is configured no more. */
  readonly displayName: string;
  readonly email: string | null;
  readonly linkedAt: string;
  readonly lastUsedAt: string | null;
}

/** How a provider is called. */
export function nameOf({ providers }: { readonly providers: Pick<Providers, "all"> }, id: string): string {
  return providers.all.find((one) => one.id === id)?.displayName ?? id;
}

export function identityView(deps: { readonly providers: Pick<Providers, "all"> }, identity: Identity): IdentityView {
  const { id, provider, email, linkedAt, lastUsedAt } = identity;
  return {
    id,
    provider,
    displayName: nameOf(deps, provider),
    email,
    linkedAt: linkedAt.toISOString(),
    lastUsedAt: lastUsedAt?.toISOString() ?? null,
  };
}
