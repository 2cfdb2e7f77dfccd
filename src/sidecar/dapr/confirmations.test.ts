import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import type { Clock } from "#src/kernel/clock";
import { delay, systemClock } from "#src/kernel/clock";
import { until } from "../../../test/kit/until.ts";
import { createConfirmations, type Confirmations } from "./confirmations.ts";

/** daprd's RabbitMQ component: one channel, one message at a time; after a break the first that finds it waits a second. */
class Component {
  readonly #clock: { nowMs: number };
  /** When there is a channel (again); undefined: it is broken and nobody has found it so. */
  #channelFromMs: number | undefined = 0;

  constructor(clock: { nowMs: number }) {
    this.#clock = clock;
  }

  /**
   * @param breaks the connection breaks before the broker's confirmation: 204 all the same
   * @param found another one that sends finds it broken at once
   */
  send({ tookMs, breaks, found }: { tookMs: number; breaks: boolean; found: boolean }): boolean {
    const clock = this.#clock;
    this.#channelFromMs ??= clock.nowMs + 1_000;
    clock.nowMs = Math.max(clock.nowMs, this.#channelFromMs) + tookMs;
    if (breaks) this.#channelFromMs = found ? clock.nowMs + 1_000 : undefined;
    return !breaks;
  }
}

describe("confirmations", () => {
  it("never call confirmed what was not, whatever is sent when and breaks when", async () => {
    const step = fc.record({
      pauseMs: fc.nat(1_500),
      tookMs: fc.nat(1_200),
      lateMs: fc.oneof(fc.constant(0), fc.nat(3_000)),
      breaks: fc.boolean(),
      found: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 12 }), async (steps) => {
        const time = { nowMs: 0 };
        const clock = { ...systemClock, monotonicMs: () => time.nowMs } as Clock;
        const component = new Component(time);
        const confirmations = createConfirmations({ clock, probe: () => Promise.reject(new Error("none here")) });
        const results: { was: boolean; said: Promise<boolean> }[] = [];
        for (const { pauseMs, lateMs, ...how } of steps) {
          time.nowMs += pauseMs;
          let was = false;
          const { confirmed } = await confirmations.sent(async () => {
            was = component.send(how);
            // This process stood still before it saw the answer.
            time.nowMs += lateMs;
          });
          results.push({ was, said: confirmed });
        }
        confirmations.close();
        for (const { was, said } of results) if (await said) expect(was).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  const live = (probe: () => Promise<void>): Confirmations => createConfirmations({ clock: systemClock, probe });

  it("come of the next event when there is one, else of a probe", async () => {
    let probes = 0;
    const confirmations = live(async () => void (probes += 1));
    const first = await confirmations.sent(async () => {});
    const second = await confirmations.sent(async () => {});
    expect(await first.confirmed).toBe(true);
    expect(probes).toBe(0);
    expect(await second.confirmed).toBe(true);
    expect(probes).toBe(1);
  });

  it("wait for the next event while others are under way: a probe would only take its place", async () => {
    let probes = 0;
    const confirmations = live(async () => void (probes += 1));
    const slow = Promise.withResolvers<void>();
    const beside = confirmations.sent(() => slow.promise);
    const one = await confirmations.sent(async () => {});
    await delay(30);
    const next = await confirmations.sent(async () => {});
    expect([await one.confirmed, probes]).toEqual([true, 0]);
    // Not for ever.
    expect([await next.confirmed, probes]).toEqual([true, 1]);
    slow.resolve();
    expect(await (await beside).confirmed).toBe(true);
  });

  it("do not come of what was sent before the answer, of a failure, or of nothing", async () => {
    let probes = 0;
    const confirmations = live(() => Promise.reject(new Error(`no broker ${(probes += 1)}`)));
    const slow = Promise.withResolvers<void>();
    const beside = confirmations.sent(() => slow.promise);
    const one = await confirmations.sent(async () => {});
    slow.resolve();
    const other = await beside;
    await expect(confirmations.sent(() => Promise.reject(new Error("refused")))).rejects.toThrow("refused");
    expect(await Promise.all([one.confirmed, other.confirmed])).toEqual([false, false]);
    expect(probes).toBeGreaterThan(0);
  });

  it("end with closing, without a probe", async () => {
    const confirmations = live(() => Promise.reject(new Error("a probe after closing")));
    const one = await confirmations.sent(async () => {});
    confirmations.close();
    expect(await one.confirmed).toBe(false);
    const late = await confirmations.sent(async () => {});
    await until(async () => !(await late.confirmed));
  });
});
