import { describe, expect, it } from "@jest/globals";
import { createWakeup } from "./wakeup.ts";

const never = new AbortController().signal;
const AN_HOUR_MS = 3_600_000;

describe("a wakeup", () => {
  it("ends a pause", async () => {
    const wakeup = createWakeup();
    const pause = wakeup.pause(AN_HOUR_MS, never);
    wakeup.wake();
    await pause;
  });

  it("is remembered when it comes between two pauses, once", async () => {
    const wakeup = createWakeup();
    wakeup.wake();
    wakeup.wake();
    await wakeup.pause(AN_HOUR_MS, never);
    const ended: string[] = [];
    const second = wakeup.pause(AN_HOUR_MS, never).then(() => ended.push("second"));
    await Promise.resolve();
    expect(ended).toEqual([]);
    wakeup.wake();
    await second;
  });

  it("leaves nothing behind when a pause ends by itself or by its signal", async () => {
    const wakeup = createWakeup();
    const stop = new AbortController();
    await wakeup.pause(1, stop.signal);
    const pause = wakeup.pause(AN_HOUR_MS, stop.signal);
    stop.abort();
    await pause;
    await wakeup.pause(AN_HOUR_MS, stop.signal);
  });
});
