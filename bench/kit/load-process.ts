/** A load process, from the side of the bench. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { LoadPlan, LoadResult, Script } from "./load-plan.ts";
import type { Program } from "./process.ts";

export class LoadProcess {
  readonly #program: Program;
  readonly #folder: string;

  constructor(program: Program, folder: string) {
    this.#program = program;
    this.#folder = folder;
  }

  /** Gives it a list of requests to know by the script's name. */
  async learn(script: Script): Promise<void> {
    const file = join(this.#folder, `script-${this.#program.pid}-${script.name}.json`);
    await writeFile(file, JSON.stringify(script));
    await this.#program.call("learn", file);
  }

  /** Runs it, whatever is answered. */
  run(plan: LoadPlan): Promise<LoadResult> {
    return this.#program.call<LoadResult>("run", plan);
  }

  /** Runs it. @throws Error unless every request was answered 2xx: a figure of refusals would be a lie */
  async served(plan: LoadPlan): Promise<LoadResult> {
    const result = await this.run(plan);
    const answered = Object.values(result.statuses).reduce((sum, count) => sum + count, 0);
    if (result.broken > 0 || answered !== result.served || result.served === 0) {
      throw new Error(
        `${plan.script}: not all requests were served: ${JSON.stringify(result.statuses)}, ${result.broken} without answer; ${result.refusal ?? ""}`,
      );
    }
    return result;
  }
}
