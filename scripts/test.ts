/**
 * `npm test` proves everything; `npm test -- path …` runs those test files (any argument of Jest will do).
 * What cannot run on this machine is named at the end, and is a failure under REQUIRE_ALL=1.
 */

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "#src/kernel/clock";
import { buildingImages } from "../test/kit/cluster-images.ts";
import { readMissing } from "../test/kit/missing.ts";
import { createRunFolder, removeRunFolder } from "../test/kit/run-folder.ts";
import { stopTestServer } from "../test/kit/test-server.ts";
import { getTools } from "./tools/get.ts";
import { fixedWorkMs } from "./machine-speed.ts";
import { readTools } from "./tools/pins.ts";

interface Tally {
  readonly passed: number;
  readonly failed: number;
}

/** Of Jest's `--json`. */
interface JestResult {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numRuntimeErrorTestSuites: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: "passed" | "failed";
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

/** What a run of Jest came to. */
interface Outcome extends Tally {
  readonly failedFiles: readonly string[];
  /** In files without a failure. */
  readonly passedElsewhere: number;
}

/** How many files are tested at once: three on a quick machine only, one where nothing may be beside. */
type Lanes = 1 | 2 | 3;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Outages, which are mostly waited for: beside each other, and nothing else beside them. */
const FAULTS = "chaos/(broker-end|relay|outages)|cluster/controller-faults";
/** Outages under load: where cores have time to spare they get on beside the others. */
const LOADS = "chaos/(broker\\.|broker-sidecars|drain|throttles)";
/** A thousand UserBans at once: takes two cores by itself. */
const THOUSAND = "cluster/userban-story";
/** Load to the last ms, and a whole cluster: the load is over before the cluster stands. */
const ALONE = "chaos/bans|cluster/whole-story";
/** Of `fixedWorkMs`: with more than that, what is promised within a time might fail for want of cores. */
const QUICK_MS = 105;
/** Jest after its result: with global teardown, which ends PostgreSQL. */
const LEAVES_WITHIN_MS = 8_000;
const INTERRUPTED = 130;

/** Each with a group of its own, so that an interrupted run ends with all its workers (see `abandon`). */
const running = new Set<ChildProcess>();
const abandoned = new AbortController();
let runs = 0;
const askedTwice: string[] = [];
const folder = await createRunFolder(process.pid);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => void abandon());
// Run as a child by scripts/node24.js, which is gone.
if (process.connected) process.once("disconnect", () => void abandon());
process.exitCode = await main(process.argv.slice(2));
// Our own leaving is no interruption.
process.removeAllListeners("disconnect");
if (process.connected) process.disconnect();

async function main(jestArguments: readonly string[]): Promise<number> {
  // Parts of the tests run at once, with what is there.
  if (jestArguments.length === 0) await tools();
  const tallies = jestArguments.length === 0 ? [await check(), ...(await everything())] : [await jest(jestArguments)];
  tallies.push(reportMissing());
  if (askedTwice.length > 0) process.stdout.write(`Run twice, for the machine became slow: ${askedTwice.join(", ")}\n`);
  await removeRunFolder(folder);
  const passed = tallies.reduce((sum, tally) => sum + tally.passed, 0);
  const failed = tallies.reduce((sum, tally) => sum + tally.failed, 0);
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}

/** Gets what tests want of the machine, where that can be had; what cannot is named at the end, by the tests that go without. */
async function tools(): Promise<void> {
  const requireAll = process.env["REQUIRE_ALL"] === "1";
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  await getTools(readTools(), {
    clock: systemClock,
    env: process.env,
    say,
    signal: abandoned.signal,
    mayBuild: requireAll,
    again: requireAll,
  });
}

/**
 * What wants the machine for itself comes last: nothing is failed there because another test took the cores. How much runs at once
 * is for the machine to say, before each part: on a quick one, two lanes leave a third of both cores idle.
 */
async function everything(): Promise<readonly Tally[]> {
  const images = buildImages();
  const later = [FAULTS, LOADS, THOUSAND, ALONE].map(under);
  const tallies: Tally[] = [];
  const rest = ["--testPathIgnorePatterns", ...later, "/node_modules/"];
  tallies.push((await isQuick()) ? await whileQuick(rest, 3) : await jest(rest, 2));
  if (await isQuick()) tallies.push(await whileQuick([under(FAULTS), under(LOADS)], 3));
  else tallies.push(await jest([under(FAULTS)], 2), await jest([under(LOADS)], 1));
  tallies.push(await jest([under(THOUSAND)], 1));
  await images;
  tallies.push((await isQuick()) ? await whileQuick([under(ALONE)], 2) : await jest([under(ALONE)], 1));
  return tallies;
}

/**
 * Tests beside each other as a quick machine has the cores for. It may be quick for minutes only: where it is not when they end, these
 * were too many at once. What failed is run as on a slow machine then, and named at the end; a machine that stays quick has no second try.
 */
async function whileQuick(tests: readonly string[], lanes: 2 | 3): Promise<Tally> {
  const first = await jest(tests, lanes);
  if (first.failedFiles.length === 0 || (await isQuick())) return first;
  const names = first.failedFiles.map((file) => file.replace(`${root}/`, ""));
  process.stdout.write(`The machine was quick and is not any more; what failed once more, one by one: ${names.join(", ")}\n`);
  askedTwice.push(...names);
  const second = await jest(["--runTestsByPath", ...first.failedFiles], 1);
  return { passed: first.passedElsewhere + second.passed, failed: second.failed };
}

async function isQuick(): Promise<boolean> {
  const tookMs = await fixedWorkMs();
  const quick = tookMs <= QUICK_MS;
  process.stdout.write(
    `A fixed piece of work takes ${Math.round(tookMs)} ms on every core just now: the machine is ${quick ? "quick" : "slow"}\n`,
  );
  return quick;
}

function under(files: string): string {
  return `/test/(${files})`;
}

/** For the cluster that comes last, with what the tests before it leave of the cores. Never fails: the cluster's own test says what it lacks. */
async function buildImages(): Promise<void> {
  const script = buildingImages(join(folder, "no-node"), process.pid);
  if (script !== undefined) await ended(spawn("bash", ["-c", script], { stdio: "ignore", detached: true })).catch(() => null);
}

/** Format, lint, types, boundaries, dead code: one step here. */
async function check(): Promise<Tally> {
  const script = join(root, "scripts", "check.ts");
  if (!existsSync(script)) return { passed: 0, failed: 0 };
  const { code } = await run([script]);
  return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

/** @param lanes as Jest's own settings have it when left out */
async function jest(jestArguments: readonly string[], lanes?: Lanes): Promise<Outcome> {
  const result = join(folder, `jest-${(runs += 1)}.json`);
  const program = fileURLToPath(import.meta.resolve("jest/bin/jest"));
  const flags = ["--experimental-vm-modules", "--disable-warning=ExperimentalWarning"];
  const beside = lanes === undefined ? [] : lanes === 1 ? ["--runInBand"] : [`--maxWorkers=${lanes}`];
  const { code, hung } = await run([...flags, program, "--json", `--outputFile=${result}`, ...beside, ...jestArguments], result);
  if (!existsSync(result)) return { passed: 0, failed: 1, failedFiles: [], passedElsewhere: 0 };
  const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites, testResults } = JSON.parse(
    await readFile(result, "utf8"),
  ) as JestResult;
  const failed = numFailedTests + numRuntimeErrorTestSuites;
  // Jest may fail without a failing test: none was found, or something of a test's outlived it.
  const otherwise = failed === 0 && (code !== 0 || hung) ? 1 : 0;
  const [good, bad] = [testResults.filter(({ status }) => status === "passed"), testResults.filter(({ status }) => status === "failed")];
  return {
    passed: numPassedTests,
    failed: failed + otherwise,
    failedFiles: bad.map(({ name }) => name),
    passedElsewhere: good.flatMap(({ assertionResults }) => assertionResults).filter(({ status }) => status === "passed").length,
  };
}

/** Runs Node on a script and shows what it says. One that has written `result` and does not leave by itself is ended: `hung`. */
function run(args: readonly string[], result?: string): Promise<{ code: number | null; hung: boolean }> {
  const colour = process.stdout.isTTY ? { FORCE_COLOR: "1" } : {};
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
    env: { ...process.env, ...colour },
  });
  // One stream, so that the last line is the last wherever the two are put together.
  const show = (text: string): boolean => process.stdout.write(text.replace(/^Test results written to: .*\n/m, ""));
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", show);
  let overdue: NodeJS.Timeout | undefined;
  let hung = false;
  const watch = setInterval(() => {
    if (result === undefined || overdue !== undefined || !existsSync(result)) return;
    overdue = setTimeout(() => {
      hung = true;
      endGroup(child);
    }, LEAVES_WITHIN_MS);
  }, 250);
  return ended(child).then((code) => {
    clearInterval(watch);
    clearTimeout(overdue);
    return { code, hung };
  });
}

/** Waits for the end of a child that is to go with the run. @returns its exit code */
function ended(child: ChildProcess): Promise<number | null> {
  running.add(child);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      running.delete(child);
      resolve(code);
    });
  });
}

/** Names what could not run. */
function reportMissing(): Tally {
  const missing = new Map<string, { reason: string; files: Set<string> }>();
  for (const { what, reason, testFile } of readMissing(folder)) {
    const entry = missing.get(what) ?? { reason, files: new Set() };
    entry.files.add(testFile.replace(`${root}/`, ""));
    missing.set(what, entry);
  }
  for (const [what, { reason, files }] of missing) {
    process.stdout.write(`Could not run without ${what} (${reason}): ${[...files].join(", ")}\n`);
  }
  return { passed: 0, failed: process.env["REQUIRE_ALL"] === "1" ? missing.size : 0 };
}

/** The run was interrupted: leaves nothing behind, then ends. */
async function abandon(): Promise<void> {
  abandoned.abort(new Error("interrupted"));
  for (const child of running) endGroup(child);
  await stopTestServer(folder);
  await removeRunFolder(folder);
  process.exit(INTERRUPTED);
}

function endGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
