/** The folder of one test run: what its processes tell each other, and what they leave, is in it and goes with it. */

import { readFileSync } from "node:fs";
import { mkdtemp, readFile, readdir, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endServer, inspectServer } from "#src/embedded/running-server";

/** Environment by which Jest's workers and their children find the run. */
const FOLDER_VARIABLE = "TEST_RUN_FOLDER";
const PID_VARIABLE = "TEST_RUN_PID";
const PREFIX = "user-service-test-";
const ENOUGH_MEMORY_BYTES = 2 * 1024 ** 3;

/** Makes the folder of a new run; it ends with the process `pid`. */
export async function createRunFolder(pid: number): Promise<string> {
  const parent = await fastFolder();
  await removeAbandoned(parent);
  const folder = await mkdtemp(join(parent, `${PREFIX}${pid}-`));
  process.env[FOLDER_VARIABLE] = folder;
  process.env[PID_VARIABLE] = String(pid);
  return folder;
}

/** Makes this process a run of its own in a folder it has: what is started for tests then serves the bench as well. */
export function useRunFolder(folder: string): void {
  process.env[FOLDER_VARIABLE] = folder;
  process.env[PID_VARIABLE] = String(process.pid);
}

/** The folder of the run that this process belongs to, if it does. */
export function currentRunFolder(): string | undefined {
  return process.env[FOLDER_VARIABLE];
}

/** As `currentRunFolder`, where there must be one. */
export function runFolder(): string {
  const folder = currentRunFolder();
  if (folder === undefined) throw new Error("No test run: start tests by `npm test`, whose set-up makes one");
  return folder;
}

/** The process whose end is the end of the run. */
export function runPid(): number {
  return Number(process.env[PID_VARIABLE]);
}

/** Removes the folder with all that is in it. */
export async function removeRunFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** Memory where there is plenty: making the 300 files of a database takes 5 ms there and 50 to 300 on a disk. */
async function fastFolder(): Promise<string> {
  const memory = "/dev/shm";
  const free = await statfs(memory).then(
    (found) => found.bavail * found.bsize,
    () => 0,
  );
  return process.platform === "linux" && free > ENOUGH_MEMORY_BYTES ? memory : tmpdir();
}

/** Folders of runs that were killed before their end. One with a database is left to the database's keeper while that lives. */
async function removeAbandoned(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = Number(new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1]);
    if (Number.isNaN(pid) || isAlive(pid)) continue;
    const folder = join(parent, name);
    const keeper = await readFile(join(folder, "keeper", "pid"), "utf8").then(Number, () => undefined);
    if (keeper !== undefined && isAlive(keeper)) continue;
    await endLeftServer(join(folder, "data", "postgres", "data"));
    await removeRunFolder(folder);
  }
}

async function endLeftServer(data: string): Promise<void> {
  const state = await inspectServer(data).catch(() => undefined);
  if (state?.kind === "running") await endServer(data, state.pid, "SIGQUIT");
}

/** Whether a process of that id runs. One that has ended counts as ended, also where its parent never asks (PID 1 of many containers). */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return process.platform !== "linux";
  }
}
