/** What tests need of the machine beyond Node. What is missing is named at the end of the run, and fails it under REQUIRE_ALL. */

import { describe, expect } from "@jest/globals";
import { systemClock } from "#src/kernel/clock";
import { readTools } from "../../scripts/tools/pins.ts";
import { whyMissing } from "../../scripts/tools/why-missing.ts";
import { findTool } from "./find-tool.ts";
import { recordMissing } from "./missing.ts";

const tools = readTools();

/** `describe` where `tool` is on this machine; else the block is skipped and named at the end. `body` gets the program's path. */
export function describeWith(tool: string, name: string, body: (path: string) => void): void {
  describeWithAll([tool], name, (paths) => body(paths[tool] ?? ""));
}

/** As `describeWith` for several tools: the block runs where all of them are, and each one that lacks is named. */
export function describeWithAll(needed: readonly string[], name: string, body: (paths: Record<string, string>) => void): void {
  const found = needed.map((tool) => [tool, findTool(tool)] as const);
  const missing = found.filter(([, path]) => path === undefined);
  for (const [tool] of missing) reportMissing(tool, whyMissing({ tools, clock: systemClock, env: process.env }, tool));
  if (missing.length === 0) describe(name, () => body(Object.fromEntries(found) as Record<string, string>));
  else describe.skip(name, () => body({}));
}

/** `describe` where root runs the tests: what depends on accounts cannot be tried by an ordinary user. */
export function describeAsRoot(name: string, body: () => void): void {
  if (process.getuid?.() === 0) {
    describe(name, body);
    return;
  }
  reportMissing("root", "the tests run as an ordinary user: run them as root too");
  describe.skip(name, body);
}

/** Tells the runner what could not be run and why. */
export function reportMissing(what: string, reason: string): void {
  recordMissing({ what, reason, testFile: expect.getState().testPath ?? "" });
}
