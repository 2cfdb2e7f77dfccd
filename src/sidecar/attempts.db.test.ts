import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { describe, expect, it } from "@jest/globals";
import { closeDb, openDb } from "#src/db/pool";
import type { Action } from "#src/kernel/actor";
import { systemClock } from "#src/kernel/clock";
import { silentLog } from "#src/kernel/log";
import { Problem, problem } from "#src/kernel/problem";
import { cloneDatabase } from "../../test/kit/database.ts";
import { until } from "../../test/kit/until.ts";
import { createAttempts } from "./attempts.ts";
import { createDaprSidecar } from "./dapr/dapr-sidecar.ts";
import { localState } from "./local/local-state.sql.ts";
import type { SidecarState } from "./port.ts";

const refusal = problem("test.throttled", 429, "Too many tries");
const action: Action = { name: "test", limit: 3, windowSeconds: 60 };

/** State that works, and beside it a daprd that takes calls and never answers; `lost` says which of them is asked. */
async function setUp(): Promise<AsyncDisposable & { readonly state: SidecarState; lost: boolean; asked: number }> {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await cloneDatabase());
  const db = openDb({ url: database.url, maxConnections: 2, applicationName: "test", log: silentLog });
  stack.defer(() => closeDb(db));
  const sockets = new Set<Socket>();
  const silent = createServer((socket) => void sockets.add(socket)).listen(0, "127.0.0.1");
  stack.defer(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  await until(() => silent.listening);
  const away = stack.use(createDaprSidecar({ httpPort: (silent.address() as AddressInfo).port, clock: systemClock })).state;
  const works = localState(db);
  // The first connection may take longer than attempts wait.
  await works.get("connected", new AbortController().signal);
  const setting = { lost: false, asked: 0 };
  const current = (): SidecarState => {
    setting.asked += 1;
    return setting.lost ? away : works;
  };
  const state: SidecarState = {
    get: (...call) => current().get(...call),
    set: (...call) => current().set(...call),
    delete: (...call) => current().delete(...call),
  };
  const owned = stack.move();
  return Object.assign(setting, { state, [Symbol.asyncDispose]: () => owned.disposeAsync() });
}

const outcomeOf = (taking: Promise<void>): Promise<string> =>
  taking.then(
    () => "taken",
    (error: unknown) => (error instanceof Problem ? error.code : String(error)),
  );

describe("attempts", () => {
  it("count over all processes that share the state", async () => {
    await using kit = await setUp();
    const needs = { state: kit.state, clock: systemClock, log: silentLog, enabled: true, refusal };
    const [one, other] = [createAttempts(needs), createAttempts(needs)];
    await one.take(action, "ann");
    await other.take(action, "ann");
    await one.take(action, "ann");
    expect(await outcomeOf(other.take(action, "ann"))).toBe("test.throttled");
    expect(await outcomeOf(other.take(action, "bob"))).toBe("taken");
    await one.forgive(action, "ann");
    expect(await outcomeOf(other.take(action, "ann"))).toBe("taken");
  });

  it("let as many through as there are, of many that come at once to two processes", async () => {
    await using kit = await setUp();
    const needs = { state: kit.state, clock: systemClock, log: silentLog, enabled: true, refusal };
    const processes = [createAttempts(needs), createAttempts(needs)];
    const many = async (limit: number, name: string): Promise<number> => {
      const takings = Array.from({ length: 60 }, (_, nth) => processes[nth % 2]?.take({ ...action, limit }, name) ?? Promise.resolve());
      return (await Promise.all(takings.map(outcomeOf))).filter((outcome) => outcome === "taken").length;
    };
    expect(await many(300, "behind one address")).toBe(60);
    expect(await many(10, "guesses")).toBe(10);
    // What came together is asked for together.
    expect(kit.asked).toBeLessThan(60);
  });

  it("are counted in this process while state says nothing, and only the first few wait for it", async () => {
    await using kit = await setUp();
    const attempts = createAttempts({ state: kit.state, clock: systemClock, log: silentLog, enabled: true, refusal });
    kit.lost = true;
    await attempts.take(action, "ann");
    expect(attempts.sharing()).toBe(false);
    await attempts.take(action, "ann");
    await attempts.take(action, "ann");
    expect(kit.asked).toBe(3);
    expect(await outcomeOf(attempts.take(action, "ann"))).toBe("test.throttled");
    await attempts.forgive(action, "ann");
    for (let i = 0; i < 50; i += 1) await attempts.take(action, `user ${i}`);
    expect(kit.asked).toBe(3);
  });

  it("are shared again at once after a single failure", async () => {
    await using kit = await setUp();
    const attempts = createAttempts({ state: kit.state, clock: systemClock, log: silentLog, enabled: true, refusal });
    kit.lost = true;
    await attempts.take(action, "ann");
    kit.lost = false;
    await attempts.take(action, "ann");
    expect(attempts.sharing()).toBe(true);
  });

  it("ask again once a second, behind the back of whoever tries, and share again when state is back", async () => {
    await using kit = await setUp();
    const attempts = createAttempts({ state: kit.state, clock: systemClock, log: silentLog, enabled: true, refusal });
    kit.lost = true;
    for (let i = 0; i < 3; i += 1) await attempts.take(action, "ann");
    const startMs = performance.now();
    let slow = 0;
    await until(async () => {
      const beforeMs = performance.now();
      await attempts.take({ ...action, limit: 1_000_000 }, "bob");
      if (performance.now() - beforeMs > 200) slow += 1;
      return kit.asked >= 5;
    });
    expect(performance.now() - startMs).toBeGreaterThan(1_500);
    // One call to state takes 250 ms, and there were two. A machine may stand still for as long once.
    expect(slow).toBeLessThan(2);
    expect(attempts.sharing()).toBe(false);
    expect(await outcomeOf(attempts.take(action, "ann"))).toBe("test.throttled");
    kit.lost = false;
    await until(() => attempts.sharing());
    const asked = kit.asked;
    await attempts.take(action, "ann");
    expect(kit.asked).toBe(asked + 2);
  });
});
