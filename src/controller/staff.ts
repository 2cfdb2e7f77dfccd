/** Which namespaces may restrict moderators: those that an administrator of the cluster has labelled. */

import type { Clock } from "#src/kernel/clock";
import { KubeError, type Kube } from "./kube.ts";
import { ALLOW_STAFF_LABEL } from "./userban.ts";

/** For so long, in ms, an answer is believed: a thousand resources of one namespace ask once. */
const BELIEVED_MS = 30_000;
const MOST_REMEMBERED = 1_000;

/** Gives the question. @throws as `Kube.send`, but a namespace that may not be read allows nothing */
export function createStaffRule(deps: {
  readonly kube: Kube;
  readonly clock: Clock;
}): (namespace: string, signal: AbortSignal) => Promise<boolean> {
  const known = new Map<string, { readonly atMs: number; readonly answer: Promise<boolean> }>();
  return async (namespace, signal) => {
    const atMs = deps.clock.monotonicMs();
    const before = known.get(namespace);
    if (before !== undefined && atMs - before.atMs < BELIEVED_MS) return await before.answer;
    const answer = ask(deps.kube, namespace, signal);
    if (known.size >= MOST_REMEMBERED) known.clear();
    known.set(namespace, { atMs, answer });
    // A failure is not an answer.
    answer.catch(() => known.delete(namespace));
    return await answer;
  };
}

async function ask(kube: Kube, namespace: string, signal: AbortSignal): Promise<boolean> {
  try {
    const { metadata } = await kube.send<{ readonly metadata: { readonly labels?: Readonly<Record<string, string>> } }>(
      "GET",
      `/api/v1/namespaces/${namespace}`,
      signal,
    );
    return metadata.labels?.[ALLOW_STAFF_LABEL] === "true";
  } catch (error) {
    if (error instanceof KubeError && (error.status === 403 || error.status === 404)) return false;
    throw error;
  }
}
