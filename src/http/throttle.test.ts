import { describe, expect, it } from "@jest/globals";
import type { Action, Actor, Client } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { Problem } from "#src/kernel/problem";
import { createThrottle } from "./throttle.ts";

const action: Action = { name: "test.try", limit: 4, windowSeconds: 8 };
const at = (addressKey: string): { client: Client } => ({ client: { address: addressKey, addressKey, userAgent: "", locale: "en" } });

function handClock(): Clock & { nowMs: number } {
  const clock = { nowMs: 1_000, now: () => new Date(clock.nowMs), monotonicMs: () => clock.nowMs };
  return clock;
}

function refusal(attempt: () => unknown): Problem {
  try {
    attempt();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error("was not refused");
}

describe("a throttle", () => {
  it("allows the limit at once and refuses the next with when to come again", () => {
    const clock = handClock();
    const throttle = createThrottle({ clock, enabled: true });
    for (let n = 0; n < 4; n += 1) throttle(action, at("a"));
    const refused = refusal(() => throttle(action, at("a")));
    expect(refused.code).toBe("rate.limited");
    expect(refused.details.retryAfterSeconds).toBe(2);
    expect(refused.details.headers).toEqual({ "RateLimit-Limit": "4", "RateLimit-Remaining": "0", "RateLimit-Reset": "8" });
  });

  it("allows one more each time a share of the window has passed; refused tries cost nothing", () => {
    const clock = handClock();
    const throttle = createThrottle({ clock, enabled: true });
    for (let n = 0; n < 4; n += 1) throttle(action, at("a"));
    for (let n = 0; n < 50; n += 1) refusal(() => throttle(action, at("a")));
    clock.nowMs += 2_000;
    throttle(action, at("a"));
    refusal(() => throttle(action, at("a")));
    clock.nowMs += 8_000;
    for (let n = 0; n < 4; n += 1) throttle(action, at("a"));
    refusal(() => throttle(action, at("a")));
  });

  it("says what is left", () => {
    const throttle = createThrottle({ clock: handClock(), enabled: true });
    expect(throttle(action, at("a"))).toEqual(["RateLimit-Limit", "4", "RateLimit-Remaining", "3", "RateLimit-Reset", "2"]);
    expect(throttle(action, at("a"))).toEqual(["RateLimit-Limit", "4", "RateLimit-Remaining", "2", "RateLimit-Reset", "4"]);
  });

  it("counts accounts by themselves, wherever they come from, and addresses and actions apart", () => {
    const throttle = createThrottle({ clock: handClock(), enabled: true });
    const ann = { actor: { userId: "ann" } as unknown as Actor };
    for (const from of ["a", "b", "c", "d"]) throttle(action, { ...ann, ...at(from) });
    refusal(() => throttle(action, { ...ann, ...at("e") }));
    throttle(action, at("e"));
    throttle({ ...action, name: "test.other" }, { ...ann, ...at("e") });
  });

  it("remembers no more callers than it may, and forgets those that are due", () => {
    const clock = handClock();
    const throttle = createThrottle({ clock, enabled: true, maxKeys: 3 });
    for (let n = 0; n < 4; n += 1) throttle(action, at("flood"));
    for (const other of ["b", "c"]) throttle(action, at(other));
    refusal(() => throttle(action, at("flood")));
    throttle(action, at("d")); // the fourth: "flood" was touched longest ago
    throttle(action, at("flood"));
  });

  it("forgets by the last touch, not by the first", () => {
    const throttle = createThrottle({ clock: handClock(), enabled: true, maxKeys: 2 });
    for (let n = 0; n < 3; n += 1) throttle(action, at("a"));
    for (let n = 0; n < 4; n += 1) throttle(action, at("b"));
    throttle(action, at("a"));
    throttle(action, at("c")); // the third: "b" was touched longest ago
    refusal(() => throttle(action, at("a")));
    throttle(action, at("b"));
  });

  it("tells of each refusal", () => {
    const limited: string[] = [];
    const throttle = createThrottle({
      clock: handClock(),
      enabled: true,
      onLimited: ({ name }, { client }) => limited.push(`${name} ${client.addressKey}`),
    });
    for (let n = 0; n < 4; n += 1) throttle(action, at("a"));
    refusal(() => throttle(action, at("a")));
    expect(limited).toEqual(["test.try a"]);
  });

  it("does nothing when limits are off", () => {
    const throttle = createThrottle({ clock: handClock(), enabled: false });
    for (let n = 0; n < 100; n += 1) expect(throttle(action, at("a"))).toBeUndefined();
  });
});
