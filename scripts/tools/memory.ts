/** What could not be had lately, so that a machine without a network does not try at each run. */

import { readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/** A try that failed. */
export interface Failure {
  /** ISO 8601. */
  readonly at: string;
  /** One for each way that was tried. */
  readonly reasons: readonly string[];
}

const REMEMBERED_MS = 24 * 60 * 60 * 1000;

/** The last failure to get `what` (a name, or a name and a version), if it was less than a day ago. */
export function recentFailure(cache: string, what: string, now: Date): Failure | undefined {
  try {
    const failure = JSON.parse(readFileSync(fileOf(cache, what), "utf8")) as Failure;
    const ageMs = now.getTime() - Date.parse(failure.at);
    return ageMs >= 0 && ageMs < REMEMBERED_MS ? failure : undefined;
  } catch {
    // None, or one that somebody else is just writing: then it is tried once more.
    return undefined;
  }
}

/** Remembers a failure. A cache that cannot be written to remembers nothing. */
export async function rememberFailure(cache: string, what: string, failure: Failure): Promise<void> {
  const file = fileOf(cache, what);
  await mkdir(dirname(file), { recursive: true })
    .then(() => writeFile(file, JSON.stringify(failure)))
    .catch(() => {});
}

/** It has worked since. */
export async function forgetFailure(cache: string, what: string): Promise<void> {
  await rm(fileOf(cache, what), { force: true });
}

function fileOf(cache: string, what: string): string {
  return join(cache, "failed", `${what}.json`);
}
