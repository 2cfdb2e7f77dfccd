/** How this process and what it depends on are: for `/health/services` and the figures. */

import type { Check, CheckResult } from "#src/http/health-board";
import { row, sql } from "#src/db/sql";
import type { Realtime } from "#src/realtime/realtime";
import type { CoreDeps } from "./deps.ts";
import type { SessionGuard } from "./guard.ts";

interface Parts {
  readonly core: CoreDeps;
  readonly guard: SessionGuard;
  readonly sharingAttempts: () => boolean;
  readonly realtime: () => Realtime;
}

/** An older read means that requests wait, in ms. */
const FEED_LATE_MS = 500;

/** The checks of an API process. Redis is there only when it is configured. */
export function apiChecks({ core, guard, sharingAttempts, realtime }: Parts): Check[] {
  const { clock, db, config } = core;
  const timed = async (work: () => Promise<unknown>): Promise<CheckResult> => {
    const startedMs = clock.monotonicMs();
    await work();
    return { state: "up", latencyMs: clock.monotonicMs() - startedMs };
  };
  const redis: Check = {
    name: "redis",
    check: () => realtime().checkRedis?.() ?? Promise.resolve({ state: "down", latencyMs: 0 }),
  };
  return [
    { name: "database", check: () => timed(() => row(db, sql`select 1 as one`)) },
    {
      name: "revocations",
      check: () => {
        const ageMs = guard.feed.ageMs();
        return Promise.resolve({ state: ageMs < FEED_LATE_MS ? "up" : "down", latencyMs: Number.isFinite(ageMs) ? ageMs : 0 });
      },
    },
    { name: "throttles", check: () => Promise.resolve({ state: sharingAttempts() ? "up" : "degraded", latencyMs: 0 }) },
    ...(config.redisUrl === undefined ? [] : [redis]),
  ];
}

/** The figures that belong to no kit. */
export function registerFigures({ core, guard, realtime }: Parts): void {
  const { metrics } = core;
  metrics.observeSockets(() => realtime().figures().connections);
  metrics.gauge("revocation_feed_age_seconds", "Since the last finished read of the revocation feed was sent", () => {
    const ageMs = guard.feed.ageMs();
    return Number.isFinite(ageMs) ? ageMs / 1000 : undefined;
  });
  metrics.gauge("gate_sessions_remembered", "Sessions the gate may answer for from memory", () => guard.memory.size);
}
