/** How this process and what it depends on are: for `/health/services` and the figures. */

import { row, sql } from "#src/db/sql";
import { outboxFigures } from "#src/events/outbox.sql";
import type { Check, CheckResult } from "#src/http/health-board";
import type { SmtpMail } from "#src/mail/smtp";
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
/** An event whose receipt is later than that says that the way through sidecar and broker is not as it should be, in s: a publish has had its 6. */
const EVENTS_LATE_SECONDS = 8;
const SIDECAR_ANSWERS_WITHIN_MS = 900;

/** The checks of a process that relays, or that needs to know whether events arrive. */
export function coreChecks(core: CoreDeps): Check[] {
  const { clock, db, dapr } = core;
  const sidecar: Check = {
    name: "sidecar",
    check: async () => (await dapr?.health(AbortSignal.timeout(SIDECAR_ANSWERS_WITHIN_MS))) ?? { state: "down", latencyMs: 0 },
  };
  return [
    { name: "database", check: () => timed(core, () => row(db, sql`select 1 as one`)) },
    ...(dapr === undefined ? [] : [sidecar]),
    {
      name: "events",
      check: async () => {
        const startedMs = clock.monotonicMs();
        const { lagSeconds, waiting } = await outboxFigures(db);
        const latencyMs = clock.monotonicMs() - startedMs;
        if (lagSeconds < EVENTS_LATE_SECONDS) return { state: "up", latencyMs };
        return { state: "degraded", latencyMs, detail: `${waiting} wait, the oldest for ${Math.round(lagSeconds)} s` };
      },
    },
  ];
}

/** Mail by how its last try went: no connection for a probe. Late mail is no outage, what it tells is in the app. */
export function mailCheck({ clock }: Pick<CoreDeps, "clock">, smtp: Pick<SmtpMail, "trouble">): Check {
  return {
    name: "mail",
    check: () => {
      const trouble = smtp.trouble();
      if (trouble === undefined) return Promise.resolve({ state: "up", latencyMs: 0 });
      const seconds = Math.round((clock.monotonicMs() - trouble.sinceMonotonicMs) / 1000);
      return Promise.resolve({ state: "degraded", latencyMs: 0, detail: `${trouble.summary}, failing for ${seconds} s` });
    },
  };
}

/** What this process has sent. */
export function registerMailFigures({ clock, metrics }: CoreDeps, smtp: SmtpMail): void {
  metrics.gauge("mail_taken", "Mails the server took since the start", () => smtp.figures().taken);
  metrics.gauge("mail_refused", "Mails refused for good since the start", () => smtp.figures().refused);
  metrics.gauge("mail_failed", "Tries to send since the start that failed and may be repeated", () => smtp.figures().failed);
  metrics.gauge("mail_failing_seconds", "Since when every try to send failed; 0 while mail is taken", () => {
    const since = smtp.trouble()?.sinceMonotonicMs;
    return since === undefined ? 0 : (clock.monotonicMs() - since) / 1000;
  });
}

/** The checks of an API process. Redis is there only when it is configured. */
export function apiChecks({ core, guard, sharingAttempts, realtime }: Parts): Check[] {
  const redis: Check = {
    name: "redis",
    check: () => realtime().checkRedis?.() ?? Promise.resolve({ state: "down", latencyMs: 0 }),
  };
  return [
    ...coreChecks(core),
    {
      name: "revocations",
      check: () => {
        const ageMs = guard.feed.ageMs();
        return Promise.resolve({ state: ageMs < FEED_LATE_MS ? "up" : "down", latencyMs: Number.isFinite(ageMs) ? ageMs : 0 });
      },
    },
    keysCheck(core),
    {
      name: "throttles",
      check: () => Promise.resolve(sharingAttempts() ? SHARED : COUNTED_ALONE),
    },
    ...(core.config.redisUrl === undefined ? [] : [redis]),
  ];
}

/** Trouble with stored keys is not one with those that are in use: they go on. */
function keysCheck({ clock, signingKeys }: CoreDeps): Check {
  return {
    name: "signing_keys",
    check: () => {
      const trouble = signingKeys.trouble();
      if (trouble === undefined) return Promise.resolve({ state: "up", latencyMs: 0 });
      const seconds = Math.round((clock.monotonicMs() - trouble.sinceMonotonicMs) / 1000);
      return Promise.resolve({
        state: "degraded",
        latencyMs: 0,
        detail: `${trouble.summary}, for ${seconds} s; those of before are in use`,
      });
    },
  };
}

const SHARED: CheckResult = { state: "up", latencyMs: 0 };
const COUNTED_ALONE: CheckResult = { state: "degraded", latencyMs: 0, detail: "each process counts for itself" };

async function timed({ clock }: CoreDeps, work: () => Promise<unknown>): Promise<CheckResult> {
  const startedMs = clock.monotonicMs();
  await work();
  return { state: "up", latencyMs: clock.monotonicMs() - startedMs };
}

/** The figures that belong to no kit. */
export function registerFigures({ core, guard, sharingAttempts, realtime }: Parts): void {
  const { metrics } = core;
  metrics.observeSockets(() => realtime().figures().connections);
  metrics.gauge("revocation_feed_age_seconds", "Since the last finished read of the revocation feed was sent", () => {
    const ageMs = guard.feed.ageMs();
    return Number.isFinite(ageMs) ? ageMs / 1000 : undefined;
  });
  metrics.gauge("gate_sessions_remembered", "Sessions the gate may answer for from memory", () => guard.memory.size);
  metrics.gauge("throttles_shared", "1 while tries to sign in are counted across processes, 0 while each counts for itself", () =>
    sharingAttempts() ? 1 : 0,
  );
}
