/** Declarations of this cluster whose resource is gone without our having seen it go: looked for at the start and at each resync. */

import type { RestrictionsApi } from "#src/client/restrictions";
import type { DeclaredRestriction } from "#src/contract/external-restrictions";
import type { Log } from "#src/kernel/log";
import { KubeError, type Kube } from "./kube.ts";
import type { Again } from "./queue.ts";
import { RetryError } from "./reconcile.ts";
import { failureOf } from "./reachability.ts";
import { keyOfExternalId, USERBANS_PATH } from "./userban.ts";

interface Needs {
  readonly kube: Kube;
  readonly restrictions: RestrictionsApi;
  readonly log: Log;
  readonly clusterName: string;
  readonly isLeader: () => boolean;
  readonly reached: (failure: string | undefined) => void;
  /** Whether the cache has it, or its end is to be said anyway. */
  readonly isKnown: (key: string) => boolean;
}

/**
 * Lifts what they imposed: what their resource said of its deletion is not known any more. Others' declarations, by the name of
 * their cluster, are left alone.
 * @throws RetryError when the service does not answer, KubeError
 */
export async function endOrphans(deps: Needs, signal: AbortSignal): Promise<Again> {
  const listed = await deps.restrictions.list({ signal });
  deps.reached(failureOf(listed));
  if (listed.kind !== "answer") throw new RetryError(listed.kind === "unreachable" ? listed.error : listed.code);
  for (const declared of listed.answer) {
    const key = keyOfExternalId(deps.clusterName, declared.externalId);
    if (key !== undefined && !deps.isKnown(key)) await endOrphan(deps, key, declared, signal);
  }
  return undefined;
}

async function endOrphan(deps: Needs, key: string, declared: DeclaredRestriction, signal: AbortSignal): Promise<void> {
  if (!(await isGone(deps.kube, key, signal))) return;
  if (!deps.isLeader()) throw new RetryError("this controller leads no more");
  const { uid, generation, externalId } = declared;
  deps.log.warn({ userBan: key, uid }, "a restriction is declared whose UserBan is gone; it is lifted");
  // When the resource was made is not known; the service does, and an early moment never shuts a later incarnation out.
  const end = { uid, generation, createdAt: new Date(0).toISOString(), policy: "lift", note: "the resource is gone" } as const;
  const outcome = await deps.restrictions.end(externalId, end, { signal });
  deps.reached(failureOf(outcome));
  if (outcome.kind === "unreachable") throw new RetryError(outcome.error);
}

/** Asked of the API server itself: a cache may be behind. */
async function isGone(kube: Kube, key: string, signal: AbortSignal): Promise<boolean> {
  const [namespace = "", name = ""] = key.split("/");
  try {
    await kube.send("GET", `${USERBANS_PATH}/namespaces/${encodeURIComponent(namespace)}/userbans/${encodeURIComponent(name)}`, signal);
    return false;
  } catch (error) {
    // The kind itself being away is a 404 too, and no reason to lift anything.
    if (error instanceof KubeError && error.status === 404) return error.reason === "NotFound" && error.message.includes(`"${name}"`);
    throw error;
  }
}
