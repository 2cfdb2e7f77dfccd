/** What a test run could not do on this machine: written by its tests, read by its runner. */

import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { currentRunFolder } from "./run-folder.ts";

/** A program or ability that is not here, and a test file that went without. */
export interface Missing {
  readonly what: string;
  /** Why, and how to get it. */
  readonly reason: string;
  readonly testFile: string;
}

/** Adds to the list of the run that this process belongs to. */
export function recordMissing(missing: Missing): void {
  const folder = currentRunFolder();
  if (folder !== undefined) appendFileSync(listFile(folder), `${JSON.stringify(missing)}\n`);
}

/** The list of a run. */
export function readMissing(folder: string): readonly Missing[] {
  if (!existsSync(listFile(folder))) return [];
  const lines = readFileSync(listFile(folder), "utf8").trim().split("\n");
  return lines.map((line) => JSON.parse(line) as Missing);
}

function listFile(folder: string): string {
  return join(folder, "missing.jsonl");
}
