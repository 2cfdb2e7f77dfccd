/** A test file that leaves something behind is told what. */

import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { startService } from "./process.ts";

const RUNNER = fileURLToPath(new URL("../../scripts/test.ts", import.meta.url));

describe("the environment of tests", () => {
  it("lets a test that failed speak for itself", async () => {
    await using run = await startService({ entry: RUNNER, args: ["--testMatch", "**/kit/fixtures/fails-and-leaves.fixture.ts"] });
    expect(await run.exited).toEqual({ code: 1, signal: null });
    expect(run.output).toContain('Received: "the reason"');
    expect(run.output).not.toContain("left open");
  });

  it("names who set a timer that is left", async () => {
    await using run = await startService({ entry: RUNNER, args: ["--testMatch", "**/kit/fixtures/leaves-timer.fixture.ts"] });
    expect(await run.exited).toEqual({ code: 1, signal: null });
    expect(run.output).toMatch(/left open: a timer of 5000 ms\n.*\n.*waitForNobody \(.*leaves-timer\.fixture\.ts/);
    expect(run.output).not.toMatch(/a timer of [678]000 ms/);
  });
});
