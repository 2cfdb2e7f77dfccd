import { describe, expect, it } from "@jest/globals";
import { silentLog } from "#src/kernel/log";
import { serveApp } from "../../test/kit/http-app.ts";
import { until } from "../../test/kit/until.ts";
import { createHealthBoard, type CheckResult } from "./health-board.ts";
import { healthRoutes, type HealthOptions } from "./health.ts";

function handClock(): { nowMs: number; now: () => Date; monotonicMs: () => number } {
  const clock = { nowMs: 50_000, now: () => new Date(clock.nowMs), monotonicMs: () => clock.nowMs };
  return clock;
}

const up: CheckResult = { state: "up", latencyMs: 1.23456 };

function health(options: Partial<HealthOptions>): ReturnType<typeof healthRoutes> {
  return healthRoutes({
    checks: [],
    vitalCheck: "database",
    clock: handClock(),
    log: silentLog,
    isStarted: () => true,
    isDraining: () => false,
    summary: async () => ({ sockets: 3 }),
    prometheus: async () => "sockets_connected 3\n",
    prometheusContentType: "text/plain; version=0.0.4; charset=utf-8",
    ...options,
  });
}

async function ask(url: string, path: string): Promise<[number, unknown]> {
  const response = await fetch(`${url}${path}`);
  return [response.status, await response.json()];
}

describe("health", () => {
  it("lives, whatever is down", async () => {
    await using app = await serveApp(health({ checks: [{ name: "database", check: () => Promise.reject(new Error("down")) }] }));
    expect(await ask(app.url, "/health")).toEqual([200, { status: "live" }]);
  });

  it("is ready only when started and not draining", async () => {
    let [started, draining] = [false, false];
    await using app = await serveApp(health({ isStarted: () => started, isDraining: () => draining }));
    expect(await ask(app.url, "/health/ready")).toEqual([503, { status: "not_ready", reason: "starting" }]);
    started = true;
    expect(await ask(app.url, "/health/ready")).toEqual([200, { status: "ready" }]);
    draining = true;
    expect(await ask(app.url, "/health/ready")).toEqual([503, { status: "not_ready", reason: "draining" }]);
  });

  it("stays ready through an outage of the database of less than 30 s, and through one of anything else", async () => {
    const clock = handClock();
    let state: CheckResult["state"] = "down";
    const checks = [
      { name: "database", check: async (): Promise<CheckResult> => ({ state, latencyMs: 1 }) },
      { name: "redis", check: async (): Promise<CheckResult> => ({ state: "down", latencyMs: 1 }) },
    ];
    await using app = await serveApp(health({ checks, clock }));
    const ready = async (): Promise<number> => {
      await ask(app.url, "/health/services");
      return (await ask(app.url, "/health/ready"))[0];
    };
    expect(await ready()).toBe(200);
    clock.nowMs += 29_000;
    expect(await ready()).toBe(200);
    clock.nowMs += 1_001;
    expect(await ready()).toBe(503);
    state = "up";
    clock.nowMs += 1_001;
    expect(await ready()).toBe(200);
  });

  it("does not wait for a part that hangs before it says whether it is ready", async () => {
    const hanging = (): ReturnType<typeof health> => health({ checks: [{ name: "database", check: () => new Promise(() => {}) }] });
    const tookMs: number[] = [];
    for (let i = 0; i < 3; i += 1) {
      await using app = await serveApp(hanging());
      const startedMs = performance.now();
      expect((await ask(app.url, "/health/ready"))[0]).toBe(200);
      tookMs.push(performance.now() - startedMs);
    }
    // The machine may pause once; who waits for the part does so each time, for a second.
    expect(Math.min(...tookMs)).toBeLessThan(500);
    await using app = await serveApp(hanging());
    expect(await ask(app.url, "/health/services")).toEqual([
      200,
      { status: "down", services: { database: expect.objectContaining({ state: "down", detail: "no answer in a second" }) } },
    ]);
  });

  it("tells each part's state, latency and since when", async () => {
    const clock = handClock();
    let state: CheckResult["state"] = "up";
    const checks = [
      { name: "database", check: async () => up },
      { name: "sidecar", check: async (): Promise<CheckResult> => ({ state, latencyMs: 2, detail: "local" }) },
    ];
    await using app = await serveApp(health({ checks, clock }));
    const database = { state: "up", latencyMs: 1.23, since: "1970-01-01T00:00:50.000Z" };
    expect(await ask(app.url, "/health/services")).toEqual([
      200,
      { status: "up", services: { database, sidecar: { state: "up", latencyMs: 2, since: "1970-01-01T00:00:50.000Z", detail: "local" } } },
    ]);
    state = "degraded";
    clock.nowMs += 5_000;
    expect(await ask(app.url, "/health/services")).toMatchObject([
      200,
      { status: "degraded", services: { database, sidecar: { state: "degraded", since: "1970-01-01T00:00:55.000Z" } } },
    ]);
  });

  it("gives the figures in both forms", async () => {
    await using app = await serveApp(health({}));
    expect(await ask(app.url, "/health/metrics")).toEqual([200, { sockets: 3 }]);
    const response = await fetch(`${app.url}/metrics`);
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(await response.text()).toBe("sockets_connected 3\n");
  });
});

describe("the board", () => {
  it("asks a part once however many probes come, and again only after a second", async () => {
    const clock = handClock();
    let asked = 0;
    let answer: (result: CheckResult) => void = () => {};
    const board = createHealthBoard([{ name: "database", check: () => new Promise((resolve) => ((asked += 1), (answer = resolve))) }], {
      clock,
      log: silentLog,
    });
    const reads = Array.from({ length: 100 }, () => board.read());
    await until(() => asked === 1);
    answer(up);
    await Promise.all(reads);
    await board.read();
    expect(asked).toBe(1);
    clock.nowMs += 1_000;
    const again = board.read();
    await until(() => asked === 2);
    answer(up);
    await again;
  });

  it("takes a check that throws at once for a part that is down", async () => {
    const board = createHealthBoard(
      [
        {
          name: "database",
          check: () => {
            throw new Error("secret address");
          },
        },
      ],
      { clock: handClock(), log: silentLog },
    );
    expect(await board.read()).toMatchObject({ database: { state: "down", detail: "the check failed" } });
  });

  it("logs each change of a part's state once, with the error that the answer leaves out", async () => {
    const clock = handClock();
    const lines: unknown[][] = [];
    const say =
      (level: string) =>
      (fields: object, message: string): void =>
        void lines.push([level, message, fields]);
    const outage = new Error("connect ECONNREFUSED 10.0.0.5:5432");
    let check = async (): Promise<CheckResult> => up;
    const board = createHealthBoard([{ name: "database", check: () => check() }], {
      clock,
      log: { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") },
    });
    const after = async (ms: number): Promise<void> => {
      clock.nowMs += ms;
      await board.read();
    };
    await after(0);
    check = () => Promise.reject(outage);
    await after(1_000);
    await after(5_000);
    check = async () => up;
    await after(30_000);
    await after(5_000);
    expect(lines).toEqual([
      ["warn", "a part is not as it should be", { part: "database", state: "down", detail: "the check failed", error: outage }],
      ["info", "a part is well again", { part: "database", forSeconds: 35 }],
    ]);
  });
});
