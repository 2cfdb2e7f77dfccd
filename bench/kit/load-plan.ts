/** What the bench tells a load process, and what it hears back. */

import type { RequestText } from "./http-connection.ts";

/** A named list of requests, sent in order and from the beginning again. It keeps its place from one run to the next. */
export interface Script {
  readonly name: string;
  readonly requests: readonly RequestText[];
  /** Each request is a refresh whose answer holds the token of the next one in its place. */
  readonly refreshes?: boolean;
  /** Each request is good for one time: a run that has sent them all is over. */
  readonly once?: boolean;
}

/** One run of a script. */
export interface LoadPlan {
  readonly script: string;
  readonly port: number;
  readonly connections: number;
  readonly durationMs: number;
  /** Evenly spaced in time, whatever the server takes; left out, each connection sends when its answer has come. */
  readonly ratePerSecond?: number;
}

/** Latencies in ms. */
export interface Latency {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

export interface LoadResult {
  /** Answers by status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Requests that got no answer. */
  readonly broken: number;
  readonly withRetryAfter: number;
  /** The body of the first answer that was not 2xx. */
  readonly refusal?: string;
  /** Of answers 2xx. */
  readonly served: number;
  /** Answers 2xx a second, between the first and the last answer. */
  readonly rate: number;
  /** Of answers 2xx. */
  readonly latency: Latency;
  /** When the last answer 2xx came, in ns of the machine's monotonic clock. */
  readonly lastServedNs: string;
}
