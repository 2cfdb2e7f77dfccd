/** A consumer is data: which event, and what to do with it. */

import type { EventType } from "#src/contract/event-types";
import type { NeighbourEventType } from "#src/contract/neighbour-event-types";
import type { Tx } from "#src/db/tx";

/** A CloudEvent (1.0) as consumers get it, its data parsed. */
export interface ReceivedEvent<Data> {
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  /** Strictly grows for each subject on each topic. A lower one than seen before is a late repeat. */
  readonly userVersion: number;
  readonly time: Date;
  readonly data: Data;
}

/** An event of another service: what CloudEvents leaves open may be missing. */
export type NeighbourEvent<Data> = Pick<ReceivedEvent<Data>, "id" | "type" | "data"> & {
  readonly [Open in "subject" | "userVersion" | "time"]: ReceivedEvent<Data>[Open] | undefined;
};

/** How handling ended: done, try again, or never (dead letter), always for a named reason. */
export type Verdict = { readonly outcome: "SUCCESS" } | { readonly outcome: "RETRY" | "DROP"; readonly reason: string };

export const success: Verdict = { outcome: "SUCCESS" };

/**
 * One consumer, in one of two ways:
 * - `push` is for sockets and the like, which have no effect that lasts. Called at each receipt, repeats included; a
 *   failure is logged and not tried again.
 * - `once` is for effects that last. The event's id is written to the inbox in the same transaction `tx` that the handler
 *   writes in, so a repeat is not handled again; RETRY, DROP and a throw roll `tx` back.
 */
export interface Consumer<Deps> {
  readonly name: string;
  readonly event: EventType<unknown> | NeighbourEventType<unknown>;
  readonly delivery: "push" | "once";
  readonly handle: (deps: Deps, event: ReceivedEvent<never>, tx: Tx) => Promise<Verdict>;
}

interface PushSpec<Deps, Data> {
  readonly name: string;
  readonly event: EventType<Data>;
  readonly delivery: "push";
  readonly handle: (deps: Deps, event: ReceivedEvent<Data>) => Promise<Verdict>;
}

interface OnceSpec<Deps, Data> {
  readonly name: string;
  readonly event: EventType<Data>;
  readonly delivery: "once";
  readonly handle: (deps: Deps, event: ReceivedEvent<Data>, tx: Tx) => Promise<Verdict>;
}

interface NeighbourSpec<Deps, Data> {
  readonly name: string;
  readonly event: NeighbourEventType<Data>;
  readonly delivery: "once";
  readonly handle: (deps: Deps, event: NeighbourEvent<Data>, tx: Tx) => Promise<Verdict>;
}

/** Declares a consumer; the data's type follows from the event. Names are unique: the inbox remembers by them. */
export function consumer<Deps, Data>(spec: PushSpec<Deps, Data> | OnceSpec<Deps, Data>): Consumer<Deps> {
  return spec as unknown as Consumer<Deps>;
}

/** The same for an event of another service, which is always handled once. */
export function neighbourConsumer<Deps, Data>(spec: NeighbourSpec<Deps, Data>): Consumer<Deps> {
  return spec as unknown as Consumer<Deps>;
}
