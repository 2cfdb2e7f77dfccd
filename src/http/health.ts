/** The health routes, for kubelets, load balancers and people; the ingress routes none of them. */

import { z } from "zod";
import { anyone, type Action } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { createHealthBoard, type Check, type HealthBoard, type PartHealth } from "./health-board.ts";
import { route, type Answer, type Route } from "./route.ts";

export interface HealthOptions {
  readonly checks: readonly Check[];
  /** The check whose outage, once it has lasted, takes the process out of service. */
  readonly vitalCheck: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly isStarted: () => boolean;
  readonly isDraining: () => boolean;
  /** The JSON summary. */
  readonly summary: () => Promise<object>;
  /** The text that Prometheus scrapes, and its content type. */
  readonly prometheus: () => Promise<string>;
  readonly prometheusContentType: string;
}

/** A shorter outage leaves all pods in service: they would leave together, and nobody would be left to say 503 (DESIGN §2). */
const VITAL_OUTAGE_MS = 30_000;

const probe: Action = { name: "health.probe", limit: 6_000, windowSeconds: 60 };

const partSchema = z.strictObject({
  state: z.enum(["up", "degraded", "down"]),
  latencyMs: z.number(),
  since: z.iso.datetime().describe("When it came into this state, as this process saw it"),
  detail: z.string().optional(),
});
const liveSchema = z.strictObject({ status: z.literal("live") });
const readySchema = z.strictObject({
  status: z.enum(["ready", "not_ready"]),
  reason: z.enum(["starting", "draining", "database_down"]).optional(),
});
const servicesSchema = z.strictObject({ status: z.enum(["up", "degraded", "down"]), services: z.record(z.string(), partSchema) });
const summarySchema = z.looseObject({});

/** `GET /health`, `/health/ready`, `/health/services`, `/health/metrics` and `/metrics`. */
export function healthRoutes(options: HealthOptions): Route<unknown>[] {
  const board = createHealthBoard(options.checks, options);
  const read = (path: string, summary: string): Pick<Route<unknown>, "method" | "path" | "tag" | "summary" | "problems" | "throttle"> => ({
    method: "get",
    path,
    tag: "health",
    summary,
    problems: [],
    throttle: probe,
  });
  return [
    route({
      ...read("/health", "Whether the process lives"),
      answers: { 200: { description: "It does.", body: liveSchema } },
      needs: anyone,
      handle: async () => ({ status: 200, body: { status: "live" } }),
    }),
    route({
      ...read("/health/ready", "Whether the process takes requests"),
      description: `Not while it starts or drains. An outage of the database counts only when it has lasted ${VITAL_OUTAGE_MS / 1000} s.`,
      answers: { 200: { description: "It does.", body: readySchema }, 503: { description: "Send requests elsewhere.", body: readySchema } },
      needs: anyone,
      handle: async () => readiness(whyNotReady(options, board)),
    }),
    route({
      ...read("/health/services", "The state of each part this process depends on"),
      answers: { 200: { description: "State, latency, and since when.", body: servicesSchema } },
      needs: anyone,
      handle: async () => ({ status: 200, body: servicesView(await board.read()) }),
    }),
    route({
      ...read("/health/metrics", "A summary of the figures, for people"),
      answers: { 200: { description: "Figures of this process since it started.", body: summarySchema } },
      needs: anyone,
      handle: async () => ({ status: 200, body: await options.summary() }),
    }),
    route({
      ...read("/metrics", "All figures, for Prometheus"),
      answers: { 200: { description: "The Prometheus text format.", body: z.string(), contentType: "text/plain" } },
      needs: anyone,
      handle: async () => ({ status: 200, body: await options.prometheus(), headers: { "Content-Type": options.prometheusContentType } }),
    }),
  ];
}

type Reason = "starting" | "draining" | "database_down";

function readiness(reason: Reason | undefined): Answer {
  return reason === undefined ? { status: 200, body: { status: "ready" } } : { status: 503, body: { status: "not_ready", reason } };
}

function whyNotReady(options: HealthOptions, board: HealthBoard): Reason | undefined {
  if (options.isDraining()) return "draining";
  if (!options.isStarted()) return "starting";
  const vital = board.latest(options.vitalCheck);
  if (vital?.state !== "down") return undefined;
  return options.clock.monotonicMs() - vital.sinceMonotonicMs >= VITAL_OUTAGE_MS ? "database_down" : undefined;
}

function servicesView(parts: Readonly<Record<string, PartHealth>>): object {
  const states = Object.values(parts).map((part) => part.state);
  const status = states.includes("down") ? "down" : states.includes("degraded") ? "degraded" : "up";
  const services = Object.entries(parts).map(([name, { state, latencyMs, since, detail }]) => [
    name,
    { state, latencyMs: Math.round(latencyMs * 100) / 100, since: since.toISOString(), ...(detail !== undefined && { detail }) },
  ]);
  return { status, services: Object.fromEntries(services) as Record<string, object> };
}
