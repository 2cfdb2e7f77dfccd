/** One look at one `UserBan`: plan, call, status. No memory between looks, no sleep, one status write and only if something changed. */

import { isDeepStrictEqual } from "node:util";
import type { Outcome, RefusalCode, RestrictionsApi } from "#src/client/restrictions";
import type { DeclarationAnswer, DeclaredRestriction } from "#src/contract/external-restrictions";
import type { Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { currentTraceparent } from "#src/kernel/trace";
import { conditionOf } from "./conditions.ts";
import { noteOn, type EventRecorder, type Note } from "./events.ts";
import { KubeError, type Kube } from "./kube.ts";
import { firstStep, isPast, nextStep, type Step, type Verdict } from "./plan.ts";
import type { Again } from "./queue.ts";
import { failureOf } from "./reachability.ts";
import { statusOf, statusPatch } from "./status.ts";
import { externalIdOf, FINALIZER, keyOf, pathOf, type UserBan } from "./userban.ts";
import { endOf, wishOf, WishError } from "./wish.ts";

/** What a look needs. */
export interface ReconcileNeeds {
  readonly kube: Kube;
  readonly restrictions: RestrictionsApi;
  readonly clock: Clock;
  readonly log: Log;
  readonly clusterName: string;
  readonly events: EventRecorder;
  /** Takes over what the API server answered to a write. */
  readonly written: (ban: UserBan) => void;
  /** Whether this process may still write. */
  readonly isLeader: () => boolean;
  readonly isStaffAllowed: (namespace: string, signal: AbortSignal) => Promise<boolean>;
  /** Told of each repair. */
  readonly repaired: () => void;
  /** Told of each call to the service: why it got no answer of the contract, or nothing. */
  readonly reached: (failure: string | undefined) => void;
  /** The end of that incarnation has been said to the service. */
  readonly ended: (uid: string) => void;
}

/** A look that is to be repeated after a pause. `status` was written where it had to be. */
export class RetryError extends Error {
  override readonly name = "RetryError";
}

/** Refusals of an edit, of which the version before may still stand. */
const MAY_STAND: readonly RefusalCode[] = ["input.invalid", "restriction.superseded", "restriction.staff_target"];
/** In a row, before the status speaks of it: what heals at once is not worth a write. */
const QUIET_ATTEMPTS = 3;

/**
 * Brings the service and the object's status to what the object says.
 * @returns when to look again
 * @throws RetryError when the service or the API server did not take it, KubeError
 */
export async function reconcile(deps: ReconcileNeeds, ban: UserBan, attempt: number, signal: AbortSignal): Promise<Again> {
  const step = firstStep(ban, deps.clock.now());
  switch (step.do) {
    case "nothing":
      return undefined;
    case "end":
      return await end(deps, ban, { step, attempt, signal });
    case "pause":
      return await conclude(deps, ban, { verdict: { kind: "paused" }, attempt, signal });
    case "expire":
      return await conclude(deps, ban, { verdict: { kind: "expired" }, attempt, signal });
    case "impose": {
      const guarded = step.guard ? await guard(deps, ban, signal) : ban;
      const verdict = await impose(deps, guarded, signal);
      return await conclude(deps, guarded, { verdict, attempt, signal });
    }
  }
}

/** Says that an incarnation which is gone already has ended. @throws RetryError when the service did not take it */
export async function endGone(deps: ReconcileNeeds, last: UserBan, signal: AbortSignal): Promise<void> {
  mayWrite(deps);
  const answer = await deps.restrictions.end(nameOf(deps, last), endOf(last, "the resource is gone"), callOf(signal));
  deps.reached(failureOf(answer));
  if (answer.kind === "unreachable") throw new RetryError(answer.error);
  if (answer.kind === "refused")
    deps.log.warn({ userBan: keyOf(last), code: answer.code }, "the end of a UserBan that is gone was refused");
}

interface Look {
  readonly attempt: number;
  readonly signal: AbortSignal;
}

async function impose(deps: ReconcileNeeds, ban: UserBan, signal: AbortSignal): Promise<Verdict> {
  const { restrictions, isStaffAllowed } = deps;
  try {
    const wish = wishOf(ban, await isStaffAllowed(ban.metadata.namespace, signal));
    mayWrite(deps);
    const outcome = await restrictions.put(nameOf(deps, ban), wish, callOf(signal));
    deps.reached(failureOf(outcome));
    return await verdictOf(deps, ban, outcome, signal);
  } catch (error) {
    if (error instanceof WishError) return { kind: "malformed", message: error.message };
    throw error;
  }
}

async function verdictOf(deps: ReconcileNeeds, ban: UserBan, outcome: Outcome<DeclarationAnswer>, signal: AbortSignal): Promise<Verdict> {
  if (outcome.kind === "answer") {
    if (outcome.answer.outcome === "repaired") deps.repaired();
    return { kind: "declared", answer: outcome.answer };
  }
  if (outcome.kind === "unreachable") return outcome;
  const { code, detail } = outcome;
  if (!MAY_STAND.includes(code)) return { kind: "refused", code, detail };
  const found = await deps.restrictions.get(nameOf(deps, ban), callOf(signal));
  if (found.kind === "unreachable") return found;
  const standing = found.kind === "answer" ? found.answer : undefined;
  // Ended by `endExpired` at an earlier look.
  if (standing !== undefined && isEndedWith(ban, standing, deps.clock.now())) return { kind: "expired", ended: standing };
  return { kind: "refused", code, detail, standing };
}

async function conclude(deps: ReconcileNeeds, ban: UserBan, look: Look & { readonly verdict: Verdict }): Promise<Again> {
  const { verdict, attempt, signal } = look;
  const isSuperseded = verdict.kind === "refused" && verdict.code === "restriction.superseded";
  // Either we have not seen the object's last change yet, or it is true; only the object itself can tell.
  if (isSuperseded && (await hasChanged(deps, ban, signal))) throw new RetryError("the object has changed meanwhile");
  const next = nextStep(ban, verdict, deps.clock.now());
  if (next.do === "end-expired") return await conclude(deps, ban, { ...look, verdict: await endExpired(deps, ban, signal) });
  if (next.do !== "retry" || attempt >= QUIET_ATTEMPTS) await writeStatus(deps, ban, verdict, signal);
  switch (next.do) {
    case "rest":
      return undefined;
    case "look-again":
      return next.afterMs;
    case "retry":
      throw new RetryError(verdict.kind === "unreachable" ? verdict.error : verdict.kind);
  }
}

async function hasChanged({ kube }: ReconcileNeeds, ban: UserBan, signal: AbortSignal): Promise<boolean> {
  try {
    const { metadata } = await kube.send<UserBan>("GET", pathOf(ban), signal);
    return metadata.uid !== ban.metadata.uid || metadata.generation !== ban.metadata.generation;
  } catch (error) {
    if (isNotFound(error)) return true;
    throw error;
  }
}

async function endExpired(deps: ReconcileNeeds, ban: UserBan, signal: AbortSignal): Promise<Verdict> {
  mayWrite(deps);
  const end = { ...endOf(ban, "its end was put into the past"), policy: "lift" as const };
  const outcome = await deps.restrictions.end(nameOf(deps, ban), end, callOf(signal));
  deps.reached(failureOf(outcome));
  if (outcome.kind === "answer") return { kind: "expired", ended: outcome.answer.restriction };
  return outcome.kind === "unreachable" ? outcome : { kind: "malformed", message: `expiresAt is in the past (${outcome.code})` };
}

async function end(deps: ReconcileNeeds, ban: UserBan, look: Look & { readonly step: Extract<Step, { do: "end" }> }): Promise<Again> {
  const { step, attempt, signal } = look;
  mayWrite(deps);
  const outcome = await deps.restrictions.end(nameOf(deps, ban), endOf(ban, "the resource was deleted"), callOf(signal));
  deps.reached(failureOf(outcome));
  if (outcome.kind !== "answer" && !step.released)
    return await conclude(deps, ban, {
      attempt,
      signal,
      verdict: await verdictOf(deps, ban, outcome, signal),
    });
  if (outcome.kind === "answer") deps.ended(ban.metadata.uid);
  await letGo(deps, ban, signal);
  const note: Note =
    outcome.kind === "answer"
      ? {
          type: "Normal",
          reason: step.policy === "lift" ? "Lifted" : "Kept",
          message: `The resource was deleted: ${outcome.answer.outcome}`,
        }
      : {
          type: "Warning",
          reason: "Released",
          message: "The resource was let go without the service knowing; it is told as soon as it answers",
        };
  deps.events.record(ban, note);
  return undefined;
}

/** Our finalizer, before anything happens that its deletion would have to undo. */
async function guard(deps: ReconcileNeeds, ban: UserBan, signal: AbortSignal): Promise<UserBan> {
  const { finalizers = [], resourceVersion } = ban.metadata;
  return await write(deps, pathOf(ban), { metadata: { resourceVersion, finalizers: [...finalizers, FINALIZER] } }, signal);
}

async function letGo(deps: ReconcileNeeds, ban: UserBan, signal: AbortSignal): Promise<void> {
  const { finalizers = [], resourceVersion } = ban.metadata;
  try {
    await write(deps, pathOf(ban), { metadata: { resourceVersion, finalizers: finalizers.filter((one) => one !== FINALIZER) } }, signal);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

async function writeStatus(deps: ReconcileNeeds, ban: UserBan, verdict: Verdict, signal: AbortSignal): Promise<void> {
  if (verdict.kind === "unreachable" && isToldAlready(ban)) return;
  const status = statusOf(ban, verdict, deps.clock.now());
  if (isDeepStrictEqual(status, { ...ban.status })) return;
  const { resourceVersion } = ban.metadata;
  const written = await write(deps, `${pathOf(ban)}/status`, { metadata: { resourceVersion }, status: statusPatch(status) }, signal);
  const note = noteOn(ban.status, status);
  if (note !== undefined) deps.events.record(written, note);
}

/** An outage is told once, not in the words of each try. */
function isToldAlready({ status, metadata }: UserBan): boolean {
  const accepted = conditionOf(status, "Accepted");
  return accepted?.reason === "ApiUnreachable" && accepted.observedGeneration === metadata.generation && status?.lastError !== undefined;
}

/** Every write names the version it is based on: one of a leader that was frozen meanwhile is refused. */
async function write(deps: ReconcileNeeds, path: string, patch: unknown, signal: AbortSignal): Promise<UserBan> {
  mayWrite(deps);
  const written = await deps.kube.patch<UserBan>(path, patch, signal);
  deps.written(written);
  return written;
}

/** Saves calls that would be refused. What is safe is made so by the fences of both sides, not by this. */
function mayWrite(deps: ReconcileNeeds): void {
  if (!deps.isLeader()) throw new RetryError("this controller leads no more");
}

function callOf(signal: AbortSignal): { readonly signal: AbortSignal; readonly traceparent?: string | undefined } {
  return { signal, traceparent: currentTraceparent() };
}

/** What the service knows it by. */
function nameOf({ clusterName }: ReconcileNeeds, ban: UserBan): string {
  return externalIdOf(clusterName, keyOf(ban));
}

function isEndedWith(ban: UserBan, { uid, state }: DeclaredRestriction, now: Date): boolean {
  return uid === ban.metadata.uid && state === "gone" && isPast(ban, now);
}

function isNotFound(error: unknown): boolean {
  return error instanceof KubeError && error.status === 404;
}
