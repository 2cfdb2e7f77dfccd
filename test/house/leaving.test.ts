/** The first process of a container ignores a signal that it does not handle: ours listen before they load what they are made of. */

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { delay } from "#src/kernel/clock";
import { expect, it } from "@jest/globals";
import { startProgram } from "../kit/process.ts";
import { describeAsRoot, describeWith } from "../kit/requires.ts";
import { until } from "../kit/until.ts";

async function childOf(pid: number): Promise<number> {
  return Number((await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).trim());
}

/** From its first moment on, until it is gone. */
async function tellAgainAndAgain(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, "SIGTERM");
    } catch {
      return;
    }
    await delay(20);
  }
}

describeWith("unshare", "told to end while it loads", (unshare) => {
  describeAsRoot("the first process of a container ends at once", () => {
    it.each(["api", "worker", "controller", "migrate"])("%s", async (name) => {
      const entry = fileURLToPath(new URL(`../../src/main/${name}.ts`, import.meta.url));
      // Without any setting it ends with 78 as soon as it has loaded everything.
      await using program = await startProgram({ command: unshare, args: ["--pid", "--fork", "--kill-child", process.execPath, entry] });
      const pid = await until(() => childOf(program.pid), { everyMs: 2, what: "the first process to be there" });
      await tellAgainAndAgain(pid);
      expect([await program.exited, program.output]).toEqual([{ code: 143, signal: null }, ""]);
    });
  });
});
