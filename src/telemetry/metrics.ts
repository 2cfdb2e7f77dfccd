/** Everything that is counted and timed in a process: for Prometheus, and as a summary for people. */

import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Clock } from "#src/kernel/clock";
import { ErrorGroups, type ErrorGroup } from "./fingerprint.ts";
import { LabelledCount } from "./labelled-count.ts";
import { registerProcessMetrics, watchLoopDelay, type LoopDelay } from "./process-metrics.ts";
import { byLabel, timesOf, type Times } from "./quantiles.ts";
import { Readings, type Reading } from "./readings.ts";

/** Connections of the pool. */
export interface PoolFigures {
  readonly total: number;
  readonly idle: number;
  readonly waiting: number;
}

/** The summary of `/health/metrics`. Times in ms; figures of this process since it started. */
export interface Summary {
  readonly uptimeSeconds: number;
  readonly memory: { readonly rssBytes: number; readonly heapUsedBytes: number };
  readonly eventLoopDelay: LoopDelay;
  readonly registrations: Readonly<Record<string, number>>;
  readonly logins: Readonly<Record<string, number>>;
  readonly rateLimited: Readonly<Record<string, number>>;
  readonly requests: Times & { readonly byStatus: Readonly<Record<string, number>> };
  readonly database: Partial<PoolFigures> & { readonly queries: Times; readonly failed: number };
  readonly sockets: number;
  /** Figures of other rooms, by name. */
  readonly figures: Readonly<Record<string, number>>;
  readonly errors: readonly ErrorGroup[];
}

const HTTP_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const QUERY_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

/**
 * The figures of one process, in a registry of their own. The functions are properties, to be handed on as values, and
 * cheap enough for each request (0.4 µs for `httpRequest`); labels never hold ids.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #loop: ReturnType<typeof watchLoopDelay>;
  readonly #errors: ErrorGroups;
  readonly #readings = new Readings(this.#registry);
  #pool: (() => PoolFigures) | undefined;
  #sockets = (): number => 0;

  readonly #http = new Histogram({
    name: "http_request_duration_seconds",
    help: "From the head of a request to its answer",
    labelNames: ["method", "route", "status"] as const,
    buckets: HTTP_BUCKETS,
    registers: [this.#registry],
  });
  readonly #queries = new Histogram({
    name: "db_query_duration_seconds",
    help: "Statements and transactions, waiting for a connection included",
    labelNames: ["outcome"] as const,
    buckets: QUERY_BUCKETS,
    registers: [this.#registry],
  });
  readonly #unexpected = new Counter({
    name: "unexpected_errors_total",
    help: "Errors nobody expected; grouped in /health/metrics",
    registers: [this.#registry],
  });
  readonly #registrations = new LabelledCount(this.#registry, {
    name: "registrations_total",
    help: "Registrations by outcome",
    label: "outcome",
  });
  readonly #logins = new LabelledCount(this.#registry, { name: "logins_total", help: "Logins by outcome", label: "outcome" });
  readonly #limited = new LabelledCount(this.#registry, {
    name: "rate_limited_total",
    help: "Tries refused by a throttle",
    label: "action",
  });

  constructor(clock: Clock) {
    this.#errors = new ErrorGroups(clock);
    this.#loop = watchLoopDelay(clock.monotonicMs);
    registerProcessMetrics(this.#registry, this.#loop.read);
  }

  /** The type of what `prometheus` gives. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** @param request `route` as declared (`/api/users/:id`), never as asked for */
  readonly httpRequest = (request: HttpRequestFigures): void => {
    const { method, route, status, durationMs } = request;
    this.#http.observe({ method, route, status: `${Math.floor(status / 100)}xx` }, durationMs / 1000);
  };

  /** Counts an error that nobody expected and gives the fingerprint under which its like are grouped. */
  readonly unexpectedError = (error: unknown): string => {
    this.#unexpected.inc();
    return this.#errors.add(error);
  };

  /** One statement or transaction; fits `onQuery` of the pool. */
  readonly query = (durationMs: number, failed: boolean): void => {
    this.#queries.observe({ outcome: failed ? "failed" : "done" }, durationMs / 1000);
  };

  /** @param outcome a word, or the code of the refusal */
  readonly registration = (outcome: string): void => this.#registrations.add(outcome);

  /** @param outcome a word, or the code of the refusal */
  readonly login = (outcome: string): void => this.#logins.add(outcome);

  /** @param action the name of the throttled action */
  readonly rateLimited = (action: string): void => this.#limited.add(action);

  /** A duration of another room: gives the function that takes each, in ms. @throws Error when the name is taken */
  readonly durations = (name: string, help: string): ((durationMs: number) => void) => {
    const histogram = new Histogram({ name, help, buckets: HTTP_BUCKETS, registers: [this.#registry] });
    return (durationMs) => histogram.observe(durationMs / 1000);
  };

  /** A count of another room: gives the function that adds to it. @throws Error when the name is taken */
  readonly counter = (name: string, help: string): ((by?: number) => void) => {
    const counter = new Counter({ name, help, registers: [this.#registry] });
    return (by = 1) => counter.inc(by);
  };

  /** A figure of another room, for Prometheus and under `figures` of the summary. @throws Error when the name is taken */
  readonly gauge = (name: string, help: string, read: Reading): void => this.#readings.add(name, help, read);

  /** Shows the pool's connections. */
  readonly observePool = (read: () => PoolFigures): void => {
    this.#pool = read;
    new Gauge({
      name: "db_pool_connections",
      help: "Connections of the pool, and callers that wait for one",
      labelNames: ["state"],
      registers: [this.#registry],
      collect() {
        const { total, idle, waiting } = read();
        this.set({ state: "busy" }, total - idle);
        this.set({ state: "idle" }, idle);
        this.set({ state: "awaited" }, waiting);
      },
    });
  };

  /** Shows how many clients are connected. */
  readonly observeSockets = (read: () => number): void => {
    this.#sockets = read;
    new Gauge({
      name: "sockets_connected",
      help: "Connected Socket.IO clients",
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  };

  /** The Prometheus text format. */
  readonly prometheus = (): Promise<string> => this.#registry.metrics();

  /** Everything at a glance. */
  readonly summary = async (): Promise<Summary> => {
    const [http, queries, figures] = await Promise.all([this.#http.get(), this.#queries.get(), this.#readings.read()]);
    const { rss, heapUsed } = process.memoryUsage();
    return {
      uptimeSeconds: Math.round(process.uptime()),
      memory: { rssBytes: rss, heapUsedBytes: heapUsed },
      eventLoopDelay: this.#loop.read(),
      registrations: this.#registrations.all(),
      logins: this.#logins.all(),
      rateLimited: this.#limited.all(),
      requests: { ...timesOf(http.values), byStatus: byLabel(http.values, "status") },
      database: { ...this.#pool?.(), queries: timesOf(queries.values), failed: byLabel(queries.values, "outcome")["failed"] ?? 0 },
      sockets: this.#sockets(),
      figures,
      errors: this.#errors.list(),
    };
  };

  /** Stops watching the event loop. */
  [Symbol.dispose](): void {
    this.#loop.stop();
  }
}

interface HttpRequestFigures {
  readonly method: string;
  readonly route: string;
  readonly status: number;
  readonly durationMs: number;
}
