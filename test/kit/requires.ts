/** What tests need of the machine beyond Node. What is missing is named at the end of the run, and fails it under REQUIRE_ALL. */

import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, expect } from "@jest/globals";
import { recordMissing } from "./missing.ts";

/** How to get a tool that is not part of node_modules. */
const HINTS: Readonly<Record<string, string>> = {
  "redis-server": "install it (Debian: apt-get install redis-server)",
};

/** `describe` where `tool` is on this machine; else the block is skipped and named at the end. `body` gets the program's path. */
export function describeWith(tool: string, name: string, body: (path: string) => void): void {
  const path = findTool(tool);
  if (path !== undefined) {
    describe(name, () => body(path));
    return;
  }
  reportMissing(tool, `not found in TOOLS_DIR or on PATH: ${HINTS[tool] ?? "install it"}`);
  describe.skip(name, () => body(""));
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

/** The program's path: TOOLS_DIR first, where the versions are pinned, then PATH. */
export function findTool(name: string): string | undefined {
  const folders = [process.env["TOOLS_DIR"] ?? "", ...(process.env["PATH"] ?? "").split(delimiter)];
  return folders
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
