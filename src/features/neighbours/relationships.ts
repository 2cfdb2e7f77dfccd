/** What people may do to each other, for a neighbour that is about to let them. */

import type { PairAction, PairDecision } from "#src/contract/people";
import type { Db } from "#src/db/pool";
import { relationOf, selectPairs, targetOf, type PairKey, type PairRow } from "#src/features/graph/public";
import { topRole, type Actor } from "#src/kernel/actor";
import { decide, type Viewer } from "#src/policy/decide";

interface Needs {
  readonly db: Db;
}

/** What was decided of a pair. */
export interface DecidedPair extends PairKey {
  readonly may: Readonly<Partial<Record<PairAction, PairDecision>>>;
}

/** Decides each action for each pair, in their order; one statement. @param input.pairs ids in lower case */
export async function decidePairs(
  deps: Needs,
  input: { readonly pairs: readonly PairKey[]; readonly actions: readonly PairAction[] },
): Promise<DecidedPair[]> {
  const distinct = new Map(input.pairs.map((pair) => [keyOf(pair), pair]));
  const found = new Map(
    (await selectPairs(deps.db, [...distinct.values()])).map((pair) => [
      keyOf({ viewerId: pair.viewer_id, targetId: pair.target_id }),
      pair,
    ]),
  );
  return input.pairs.map(({ viewerId, targetId }) => {
    const pair = found.get(keyOf({ viewerId, targetId }));
    return { viewerId, targetId, may: Object.fromEntries(input.actions.map((action) => [action, decisionOf(pair, action)])) };
  });
}

const keyOf = ({ viewerId, targetId }: PairKey): string => `${viewerId} ${targetId}`;

/** At our own doors the gate keeps out who is gone or restricted, before the policy is asked. A neighbour's door has no such gate. */
function decisionOf(pair: PairRow | undefined, action: PairAction): PairDecision {
  if (pair === undefined || pair.viewer_status === "deactivated" || pair.viewer_status === "erased") return "hidden";
  if (pair.viewer_status !== "active") return "restricted";
  const decision = decide(viewerOf(pair), targetOf(pair), relationOf(pair), action);
  if (decision === "allow") return "allow";
  // These two are about finding and blocking, which no neighbour asks for.
  return decision.refuse === "unlisted" || decision.refuse === "staff" ? "hidden" : decision.refuse;
}

function viewerOf(pair: PairRow): Viewer {
  return {
    userId: pair.viewer_id as Actor["userId"],
    role: topRole(pair.viewer_roles),
    restricted: false,
    limited: new Set(pair.viewer_limited),
  };
}
