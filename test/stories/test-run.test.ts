import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import type { RunningProgram } from "../kit/process.ts";
import { startService } from "../kit/process.ts";
import { isAlive } from "../kit/run-folder.ts";
import { until } from "../kit/until.ts";

const RUNNER = fileURLToPath(new URL("../../scripts/test.ts", import.meta.url));

/** A run of its own inside this one, on files that no ordinary run sees. */
const runTests = (fixture: string, env: Record<string, string> = {}, ipc = false): Promise<RunningProgram> =>
  startService({ entry: RUNNER, args: ["--testMatch", `**/kit/fixtures/${fixture}.fixture.ts`], env, ipc });

/** What the run made, by its process id, wherever run folders are made. */
async function foldersOf(runner: number): Promise<readonly string[]> {
  const names = await Promise.all(["/dev/shm", tmpdir()].map((parent) => readdir(parent).catch(() => [])));
  return names.flat().filter((name) => name.startsWith(`user-service-test-${runner}-`));
}

const lastLine = (output: string): string | undefined => output.trimEnd().split("\n").at(-1);

describe("a test run", () => {
  it.each(["SIGINT", "SIGTERM", "SIGKILL"] as const)(
    "leaves nothing running and nothing lying about when it ends by %s",
    async (signal) => {
      await using run = await runTests("never-ends");
      const program = Number((await run.line(/the program is (\d+)/, 60_000))[1]);
      expect(await foldersOf(run.pid)).toHaveLength(1);
      run.signal(signal);
      await until(async () => !isAlive(program) && (await foldersOf(run.pid)).length === 0, { withinMs: 20_000, what: "all to be gone" });
      await run.exited;
    },
  );

  it("fails a test that leaves something open", async () => {
    await using run = await runTests("leaves-open");
    expect(await run.exited).toEqual({ code: 1, signal: null });
    expect(run.output).toContain("left open: 1 × TCPServerWrap");
    expect(lastLine(run.output)).toBe("0 passed, 1 failed");
  });

  it("names what it could not run", async () => {
    await using run = await runTests("lacks-a-tool");
    expect(await run.exited).toEqual({ code: 0, signal: null });
    expect(run.output).toMatch(/Could not run without no-such-tool \(not found .*\): test\/kit\/fixtures\/lacks-a-tool\.fixture\.ts\n/);
    expect(lastLine(run.output)).toBe("1 passed, 0 failed");
  });

  it("ends as it went where it is somebody's child with a channel, as under Node 20", async () => {
    await using run = await runTests("lacks-a-tool", {}, true);
    expect(await run.exited).toEqual({ code: 0, signal: null });
    expect(lastLine(run.output)).toBe("1 passed, 0 failed");
  });

  it("fails for that where everything is required", async () => {
    await using run = await runTests("lacks-a-tool", { REQUIRE_ALL: "1" });
    expect(await run.exited).toEqual({ code: 1, signal: null });
    expect(lastLine(run.output)).toBe("1 passed, 1 failed");
  });

  it("fails when there is nothing to run", async () => {
    await using run = await runTests("no-such-file");
    expect(await run.exited).toEqual({ code: 1, signal: null });
    expect(lastLine(run.output)).toBe("0 passed, 1 failed");
  });
});
