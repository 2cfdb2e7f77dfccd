/** What one is to many people at once, for whoever shows them. */

import type { Db } from "#src/db/pool";
import { decide, type Relationship, type Target, type Viewer } from "#src/policy/decide";
import { relationshipView, type RelationshipView } from "./graph.views.ts";
import { selectPairs, type PairRow } from "./pairs.sql.ts";

interface Needs {
  readonly db: Db;
}

/**
 * What the viewer is to each of these people, in the order of `ids`; one statement. Who is not there for the viewer is left out
 * like an id that nobody has, and so is the viewer. Whom the viewer blocked is there, to be told from a stranger; where the
 * block goes both ways they are not, as in the list of blocks.
 * @param input.ids distinct, in lower case
 */
export async function readRelationships(
  deps: Needs,
  input: { readonly viewer: Viewer; readonly ids: readonly string[] },
): Promise<RelationshipView[]> {
  const { viewer, ids } = input;
  const pairs = await selectPairs(
    deps.db,
    ids.map((targetId) => ({ viewerId: viewer.userId, targetId })),
  );
  const found = new Map(pairs.map((pair) => [pair.target_id, pair]));
  return ids.flatMap((id) => {
    const pair = found.get(id);
    return pair !== undefined && id !== viewer.userId && isTold(viewer, pair) ? [relationshipView(pair)] : [];
  });
}

function isTold(viewer: Viewer, pair: PairRow): boolean {
  // What only the viewer's own block hides is the viewer's to know.
  const relation = { ...relationOf(pair), blocked: pair.blocked_by };
  const decision = decide(viewer, targetOf(pair), relation, "view");
  return decision === "allow" || decision.refuse === "unavailable";
}

/** Whom a pair is about, for the policy. */
export function targetOf(pair: PairRow): Target {
  return { id: pair.target_id, status: pair.target_status, limited: pair.target_limited, privacy: pair.target_privacy };
}

/** What is between a pair, for the policy. */
export function relationOf(pair: PairRow): Relationship {
  return { blocking: pair.blocking, blocked: pair.blocking || pair.blocked_by, follows: pair.out_state === "accepted" };
}
