/** Gets the tools that this machine lacks, each by the first way that works; says what it does and why it failed. */

import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Clock } from "#src/kernel/clock";
import { canInstallDebian, installDebian } from "./debian.ts";
import type { Workplace } from "./download.ts";
import { downloadRelease } from "./download.ts";
import type { Environment } from "./find.ts";
import { cachedPath, cacheFolder, findPinned, findProgram, versionOf } from "./find.ts";
import { buildFromSource } from "./go-build.ts";
import { forgetFailure, recentFailure, rememberFailure } from "./memory.ts";
import type { Pin, Tools } from "./pins.ts";
import { pinKey } from "./pins.ts";

/** What getting needs, and how far it may go. */
export interface GetOptions {
  readonly clock: Clock;
  readonly env: Environment;
  readonly say: (line: string) => void;
  /** Nobody waits any more. */
  readonly signal: AbortSignal;
  /** From source too, where nothing quicker works. */
  readonly mayBuild: boolean;
  /** Also what failed less than a day ago. */
  readonly again: boolean;
  /** How long a server may say nothing; default 10 s. */
  readonly patienceMs?: number;
}

/** A tool that is still missing: what became of each way. */
export interface Lacking {
  readonly name: string;
  readonly reasons: readonly string[];
}

interface Way {
  readonly name: string;
  readonly withinMinutes: number;
  readonly make: (pin: Pin, workplace: Workplace) => Promise<string>;
}

type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

const DOWNLOAD: Way = { name: "download", withinMinutes: 5, make: downloadRelease };
const BUILD: Way = { name: "go build", withinMinutes: 45, make: buildFromSource };
const NOT_BUILT = "go build: not tried, it is long (npm run tools -- --build)";
const PATIENCE_MS = 10_000;
const DEBIAN_WITHIN_MS = 5 * 60_000;
const ABANDONED_AFTER_MS = 24 * 60 * 60_000;
const PARTIAL = ".partial-";

/** Gets what is missing into our cache, or from Debian, and returns what could not be had. Safe to run in several processes at once. */
export async function getTools(tools: Tools, options: GetOptions): Promise<readonly Lacking[]> {
  const pins = Object.values(tools.pinned).filter((pin) => findPinned(pin, options.env).path === undefined);
  const packages = Object.entries(tools.debian).filter(([name]) => findProgram(name, options.env) === undefined);
  await removeAbandoned(options).catch(() => {});
  const inTurn = turns();
  // At once: without a network each waits as long as the other.
  const results = await Promise.all([
    ...packages.map(([name, debian]) => getPackage({ name, debian, inTurn }, options)),
    ...pins.map((pin) => getPinned({ pin, inTurn }, options)),
  ]);
  return results.filter((lacking) => lacking !== undefined);
}

async function getPinned(
  { pin, inTurn }: { readonly pin: Pin; readonly inTurn: InTurn },
  options: GetOptions,
): Promise<Lacking | undefined> {
  return unlessTriedLately({ name: pin.name, what: pinKey(pin) }, options, async () => {
    const first = await attempt(DOWNLOAD, pin, options);
    if (first === undefined) return [];
    if (!options.mayBuild) return [first, NOT_BUILT];
    // A build takes all the processors there are.
    const second = await inTurn(() => attempt(BUILD, pin, options));
    return second === undefined ? [] : [first, second];
  });
}

/** @returns why the program could not be had that way; undefined: it is in the cache now */
async function attempt(way: Way, pin: Pin, options: GetOptions): Promise<string | undefined> {
  options.say(`Tools: ${way.name} of ${pin.name} ${pin.version} (once; ${way.withinMinutes} minutes at most) …`);
  try {
    await make(way, pin, options);
    options.say(`Tools: ${pin.name} ${pin.version} is in ${cacheFolder(options.env)}`);
    return undefined;
  } catch (error) {
    return `${way.name}: ${(error as Error).message}`;
  }
}

async function make(way: Way, pin: Pin, { env, signal, patienceMs = PATIENCE_MS }: GetOptions): Promise<void> {
  const cache = cacheFolder(env);
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, PARTIAL));
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(way.withinMinutes * 60_000)]);
    const program = await way.make(pin, { folder, env, signal: limit, patienceMs });
    await chmod(program, 0o755);
    const version = versionOf(pin, program);
    if (version !== pin.version) throw new Error(`what came is ${version ?? "no program that runs here"}, not ${pin.version}`);
    await mkdir(join(folder, "done"));
    await rename(program, join(folder, "done", pin.name));
    // A whole folder at once: nobody ever finds half a program. Where another process was quicker, its one is as good.
    await rename(join(folder, "done"), dirname(cachedPath(pin, env))).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function getPackage(
  { name, debian, inTurn }: { readonly name: string; readonly debian: string; readonly inTurn: InTurn },
  options: GetOptions,
): Promise<Lacking | undefined> {
  if (!(await canInstallDebian())) return { name, reasons: [`that wants root on Debian (apt-get install ${debian})`] };
  return unlessTriedLately({ name, what: debian }, options, async () => {
    options.say(`Tools: installing the Debian package ${debian}, without starting its service …`);
    try {
      await inTurn(() => installDebian(debian, AbortSignal.any([options.signal, AbortSignal.timeout(DEBIAN_WITHIN_MS)])));
      return [];
    } catch (error) {
      return [`apt-get: ${(error as Error).message}`];
    }
  });
}

/** Runs `work`, which answers with the reasons of its failure, none where it worked, and remembers that. */
async function unlessTriedLately(
  { name, what }: { readonly name: string; readonly what: string },
  { env, clock, again, signal, say }: GetOptions,
  work: () => Promise<readonly string[]>,
): Promise<Lacking | undefined> {
  const cache = cacheFolder(env);
  const earlier = again ? undefined : recentFailure(cache, what, clock.now());
  if (earlier !== undefined) return { name, reasons: earlier.reasons };
  const reasons = await work();
  if (reasons.length === 0) {
    await forgetFailure(cache, what);
    return undefined;
  }
  if (!signal.aborted) await rememberFailure(cache, what, { at: clock.now().toISOString(), reasons });
  say(`Tools: no ${name}: ${reasons.join("; ")}`);
  return { name, reasons };
}

/** One work after the other. */
function turns(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work);
    last = next.catch(() => {});
    return next;
  };
}

/** Of processes that were killed. */
async function removeAbandoned({ env, clock }: GetOptions): Promise<void> {
  const cache = cacheFolder(env);
  for (const name of (await readdir(cache)).filter((entry) => entry.startsWith(PARTIAL))) {
    const { mtimeMs } = await stat(join(cache, name));
    if (clock.now().getTime() - mtimeMs > ABANDONED_AFTER_MS) await rm(join(cache, name), { recursive: true, force: true });
  }
}
