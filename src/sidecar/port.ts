/** What this service wants of the program beside it. Adapters: `dapr/` and `local/`; both pass test/contracts/sidecar.ts. */

import type { Secret } from "#src/kernel/secret";

/** A CloudEvent 1.0 in its JSON form. Extension attributes are lowercase, as the specification has it. */
export interface CloudEvent {
  readonly specversion: "1.0";
  /** With `source`, what repeats are known by. The same at each try. */
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string;
  /** RFC 3339, UTC. */
  readonly time: string;
  readonly datacontenttype: "application/json";
  readonly data: unknown;
  /** Our extension: strictly grows for each subject on each topic. */
  readonly userversion: number;
  /**
   * W3C trace context. An adapter carries it in its own way (daprd takes it from a header only); what arrives is of the same
   * trace, perhaps with another parent.
   */
  readonly traceparent?: string;
}

/** What became of a delivery. DROP, and RETRY beyond the adapter's patience, lead to the dead-letter topic. */
export type DeliveryOutcome = "SUCCESS" | "RETRY" | "DROP";

/** One row of the subscription table. */
export interface Subscription {
  readonly topic: string;
  /** Where events go that were dropped or failed too often; as they were, without a reason. A row of its own subscribes to it. */
  readonly deadLetterTopic?: string;
  /** Gets what came over the wire, which may be anything. A rejection counts as RETRY. */
  readonly deliver: (event: unknown) => Promise<DeliveryOutcome>;
}

/** A value as read, with the tag that names this version of it. */
export interface StateEntry {
  readonly value: unknown;
  readonly etag: string;
}

/**
 * Which state a write wants to find: no entry, or the very version with this tag. There is no blind write: Dapr's Redis store
 * refuses one on a key that was ever compared, and lets a comparison overwrite a key that was ever written blindly (tried, 1.18.1).
 */
export type Expected = "nothing" | { readonly etag: string };

/**
 * Keyed values that may be lost: never for what must happen once. A value is anything JSON can say. Keys are 1 to 200 of
 * `A-Z a-z 0-9 : . _ -`; @throws RangeError for others, a bug of the caller.
 *
 * A tag tells versions of an entry apart while it is there. One read before the entry was deleted or ran out may fit what
 * comes after it (Redis counts from 1 again), so a value that must not be taken up again names its own time.
 */
export interface SidecarState {
  readonly get: (key: string, signal: AbortSignal) => Promise<StateEntry | undefined>;
  /** Compare and set. `ttlSeconds` is a whole number ≥ 1; without it the entry stays. `conflict` means that nothing was written. */
  readonly set: (
    key: string,
    value: unknown,
    options: { readonly expected: Expected; readonly ttlSeconds?: number },
    signal: AbortSignal,
  ) => Promise<"set" | "conflict">;
  /** What is gone already is deleted too; `conflict` means that it is there with another tag. */
  readonly delete: (key: string, expected: "anything" | { readonly etag: string }, signal: AbortSignal) => Promise<"deleted" | "conflict">;
}

/**
 * A call to another app. `path` has no slash in front, its segments are percent-encoded, and it may end in a query. A segment
 * cannot hold `/ \ ? # %`, a control character or dots only, escaped or not: daprd decodes paths, cleans them and encodes anew.
 */
export interface Invocation {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  readonly path: string;
  /** Anything JSON can say. */
  readonly body?: unknown;
  /** W3C trace context of what causes the call; where this code runs when left out. */
  readonly traceparent?: string;
}

/** What the other app answered, whatever its status. `body` is parsed JSON, or undefined where there was none. */
export interface InvocationAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** What a publish came to. */
export interface Published {
  /** Whether the broker has it for every queue, within a second. False: not, or it cannot be known. Never rejects. */
  readonly confirmed: Promise<boolean>;
}

/** The sidecar as the rest of the service sees it. Every call ends when its signal is aborted. */
export interface Sidecar {
  /**
   * Sends one event. Resolving means "perhaps": it is delivered when it came back through a subscription of ours, and was
   * confirmed where there is such a thing.
   * @throws Error when the sidecar did not take it, or not in time
   */
  readonly publish: (topic: string, event: CloudEvent, signal: AbortSignal) => Promise<Published>;
  /** Whether what is published is confirmed: a broker is between, and may have put an event into our queue only. */
  readonly confirms: boolean;
  /** Hands over the whole subscription table, once, before the first publish. */
  readonly subscribe: (subscriptions: readonly Subscription[]) => void;
  readonly state: SidecarState;
  /**
   * A secret by its name (lowercase words with hyphens), or nothing where there is none. Not cached here. Of a secret that has
   * keys (Kubernetes): the key of the same name, else `value`, else the only one.
   * @throws RangeError for another form of name
   */
  readonly secret: (name: string, signal: AbortSignal) => Promise<Secret<string> | undefined>;
  /**
   * Calls another app by its id. An answer is an answer, also a 500 of that app. Not repeated here: the caller owns that.
   * @throws Error when the app could not be reached or did not answer in time (`DaprRefused` has a reason); RangeError for
   *   an id or a path of another form
   */
  readonly invoke: (appId: string, request: Invocation, signal: AbortSignal) => Promise<InvocationAnswer>;
}

const STATE_KEY = /^[A-Za-z0-9:._-]{1,200}$/;
const SECRET_NAME = /^[a-z0-9]+(-[a-z0-9]+)*$/;

/** Holds every adapter to the same keys. @throws RangeError */
export function checkStateKey(key: string): void {
  if (!STATE_KEY.test(key)) throw new RangeError("a state key is 1 to 200 of A-Z a-z 0-9 : . _ -");
}

/** Holds every adapter to the same names, which are safe as file names. @throws RangeError */
export function checkSecretName(name: string): void {
  if (name.length > 64 || !SECRET_NAME.test(name))
    throw new RangeError("the name of a secret is lowercase words with hyphens, at most 64 characters");
}
