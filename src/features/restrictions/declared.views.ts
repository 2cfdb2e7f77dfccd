/** A declared restriction as its source sees it. */

import type { DeclarationAnswer, DeclaredRestriction } from "#src/contract/external-restrictions";
import { declaredState, firstEnforced, type Declared } from "./declared.rows.ts";
import type { Declaration } from "./declare.ts";

export function declaredView(declared: Declared): DeclaredRestriction {
  const { wish } = declared;
  return {
    source: declared.source,
    externalId: declared.external_id,
    uid: declared.uid,
    generation: declared.generation,
    state: declaredState(declared),
    userId: declared.user_id,
    restrictionId: declared.restriction_id,
    startsAt: declared.starts_at?.toISOString() ?? wish?.startsAt ?? null,
    expiresAt: declared.expires_at?.toISOString() ?? wish?.expiresAt ?? null,
    enforcedAt: firstEnforced(declared)?.toISOString() ?? null,
    sessionsRevoked: declared.sessions_revoked,
  };
}

export function declarationView({ outcome, declared }: Declaration): DeclarationAnswer {
  return { outcome, restriction: declaredView(declared) };
}
