import { describe, expect, it } from "@jest/globals";
import { systemClock } from "#src/kernel/clock";
import { until } from "../../test/kit/until.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { Metrics } from "./metrics.ts";
import { timesOf } from "./quantiles.ts";

describe("the figures", () => {
  it("of requests are told by route, method and class of status", async () => {
    using metrics = new Metrics(systemClock);
    for (let n = 0; n < 98; n += 1) metrics.httpRequest({ method: "GET", route: "/api/users/:id", status: 200, durationMs: 3 });
    metrics.httpRequest({ method: "GET", route: "/api/users/:id", status: 404, durationMs: 30 });
    metrics.httpRequest({ method: "POST", route: "/api/auth/login", status: 503, durationMs: 300 });
    const text = await metrics.prometheus();
    expect(text).toContain('http_request_duration_seconds_bucket{le="0.005",method="GET",route="/api/users/:id",status="2xx"} 98');
    expect(text).toContain('http_request_duration_seconds_count{method="POST",route="/api/auth/login",status="5xx"} 1');
    const { requests } = await metrics.summary();
    expect(requests).toEqual({ count: 100, meanMs: 6.24, p50Ms: 5, p95Ms: 5, p99Ms: 50, byStatus: { "2xx": 98, "4xx": 1, "5xx": 1 } });
  });

  it("of registrations, logins and throttles are told by outcome, without labels beyond number", async () => {
    using metrics = new Metrics(systemClock);
    metrics.registration("accepted");
    metrics.registration("username.taken");
    metrics.login("accepted");
    metrics.rateLimited("sign-in.login");
    for (let n = 0; n < 500; n += 1) metrics.login(`forged-${n}`);
    metrics.login('" injected\n');
    const { registrations, logins, rateLimited } = await metrics.summary();
    expect(registrations).toEqual({ accepted: 1, "username.taken": 1 });
    expect(rateLimited).toEqual({ "sign-in.login": 1 });
    expect(Object.keys(logins)).toHaveLength(101);
    expect(logins["other"]).toBe(402);
    expect(await metrics.prometheus()).toContain('registrations_total{outcome="username.taken"} 1');
  });

  it("of the database show pool, queries and failures", async () => {
    using metrics = new Metrics(systemClock);
    metrics.observePool(() => ({ total: 5, idle: 2, waiting: 7 }));
    metrics.query(2, false);
    metrics.query(40, true);
    expect((await metrics.summary()).database).toMatchObject({
      total: 5,
      idle: 2,
      waiting: 7,
      failed: 1,
      queries: { count: 2, p50Ms: 2.5, p99Ms: 50 },
    });
    expect(await metrics.prometheus()).toContain('db_pool_connections{state="awaited"} 7');
  });

  it("of other rooms are read when asked; one that fails, hangs or knows nothing disturbs no other", async () => {
    using metrics = new Metrics(systemClock);
    let age = 1;
    metrics.gauge("revocation_feed_age_seconds", "Age", () => age);
    metrics.gauge("outbox_lag_seconds", "Lag", async () => 4);
    metrics.gauge("broken", "Fails", () => Promise.reject(new Error("no")));
    metrics.gauge("thrown", "Throws", () => {
      throw new Error("no");
    });
    metrics.gauge("hanging", "Hangs", () => new Promise(() => {}));
    metrics.gauge("unknown", "Not yet", () => undefined);
    const published = metrics.counter("events_published_total", "Published");
    published();
    published(2);
    metrics.observeSockets(() => 12);
    expect(await metrics.summary()).toMatchObject({ sockets: 12, figures: { revocation_feed_age_seconds: 1, outbox_lag_seconds: 4 } });
    age = 2;
    const text = await metrics.prometheus();
    expect(text).toMatch(/^revocation_feed_age_seconds 2$/m);
    expect(text).toMatch(/^events_published_total 3$/m);
    expect(text).toMatch(/^sockets_connected 12$/m);
    expect(text).not.toMatch(/^(broken|thrown|hanging|unknown) /m);
    expect(() => metrics.gauge("broken", "again", () => 1)).toThrow();
  });

  it("of the process are there: CPU, memory, uptime, loop delay", async () => {
    using metrics = new Metrics(systemClock);
    const text = await metrics.prometheus();
    for (const name of ["process_cpu_seconds_total", "process_resident_memory_bytes", "nodejs_heap_used_bytes", "process_uptime_seconds"]) {
      expect(Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1])).toBeGreaterThan(0);
    }
    expect(text).toContain('nodejs_eventloop_delay_seconds{quantile="0.99"}');
    expect((await metrics.summary()).memory.rssBytes).toBeGreaterThan(10_000_000);
  });

  it("see an event loop that is held up", async () => {
    using metrics = new Metrics(systemClock);
    const heldUp = async (): Promise<boolean> => {
      const endMs = performance.now() + 150;
      while (performance.now() < endMs);
      return (await metrics.summary()).eventLoopDelay.maxMs > 80;
    };
    expect(await until(heldUp, { what: "the watch to notice" })).toBe(true);
  });
});

describe("errors", () => {
  const thrown = (message: string): Error => new TypeError(message);

  it("are one group when only ids, numbers and quoted input differ", () => {
    const [one, other] = ["0190c7a0-0000-7000-8000-000000000001", "0190c7a0-0000-7000-8000-00000000000f"].map((id, n) =>
      fingerprintOf(thrown(`row ${n + 7} of ${id} holds "${"x".repeat(n)}"`)),
    );
    expect(one).toBe(other);
    expect(one).toMatch(/^TypeError src\/telemetry\/metrics\.test\.ts:\d+ row # of # holds '…'$/);
    expect(fingerprintOf(thrown("something else"))).not.toBe(one);
  });

  it("that are no errors have a fingerprint too, and none holds a secret", () => {
    for (const odd of [undefined, null, "text", 7, { secret: 1 }]) expect(fingerprintOf(odd)).toMatch(/^Error .*thrown: /);
    expect(fingerprintOf(thrown("postgres://u:hunter2@h"))).not.toContain("hunter2");
  });

  it("are counted in groups, the most frequent first, a hundred at most", async () => {
    using metrics = new Metrics(systemClock);
    const word = (n: number): string => String.fromCharCode(97 + (n % 26), 97 + (Math.floor(n / 26) % 26));
    for (let n = 0; n < 150; n += 1) metrics.unexpectedError(thrown(`kind ${word(n)}`));
    for (let n = 0; n < 5; n += 1) metrics.unexpectedError(thrown("often"));
    const { errors } = await metrics.summary();
    expect(errors).toHaveLength(100);
    expect(errors[0]).toMatchObject({ count: 5, fingerprint: expect.stringContaining("often") });
    expect(await metrics.prometheus()).toMatch(/^unexpected_errors_total 155$/m);
  });
});

it("times of nothing are zero", () => {
  expect(timesOf([])).toEqual({ count: 0, meanMs: 0, p50Ms: 0, p95Ms: 0, p99Ms: 0 });
});
