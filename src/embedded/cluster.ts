/** The data folder: made once by initdb, whole or not at all, and only opened by the PostgreSQL that fits it. */

import { spawn } from "node:child_process";
import { chmod, chown, mkdir, open, rename, rm, unlink } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Log } from "#src/kernel/log";
import type { Account } from "./account.ts";
import type { Binaries } from "./binaries.ts";
import { readIfThere } from "./place.ts";

/** The superuser, for keeping house; the service itself is `user_service`. */
export const ADMIN_ROLE = "postgres";

interface NewCluster {
  readonly data: string;
  readonly binaries: Binaries;
  readonly account: Account | undefined;
  readonly password: string;
  /** Off for data that need not survive the machine: saves the flush of initdb. */
  readonly durable: boolean;
  readonly log: Log;
}

/** Minimal systems lack some of them. Not plain "C": its pg_trgm sees no letter beyond ASCII. */
const LOCALES = ["C.UTF-8", "en_US.UTF-8"] as const;

/**
 * Makes the data folder unless it is there. Call under the lock.
 * @throws an Error that says what to do when the data belongs to another major version
 */
export async function ensureCluster(wanted: NewCluster): Promise<void> {
  const version = await readIfThere(join(wanted.data, "PG_VERSION"));
  if (version === undefined) {
    await createCluster(wanted);
    return;
  }
  const major = Number.parseInt(version, 10);
  if (major === wanted.binaries.major) return;
  throw new Error(
    `${wanted.data} holds the data of PostgreSQL ${version.trim()}, and this version of the service brings PostgreSQL ${wanted.binaries.major}, ` +
      `which cannot open it. To keep the data: start the earlier version of the service, dump with pg_dump, move the folder away, start this one ` +
      `and restore. To begin empty: move ${dirname(wanted.data)} away.`,
  );
}

async function createCluster(wanted: NewCluster): Promise<void> {
  const unfinished = `${wanted.data}.new`;
  // A start that was killed inside initdb leaves its attempt here; only the lock's holder comes by.
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { mode: 0o700 });
  await chmod(unfinished, 0o700);
  if (wanted.account !== undefined) await chown(unfinished, wanted.account.uid, wanted.account.gid);
  wanted.log.info({ folder: wanted.data, version: wanted.binaries.version }, "creating the embedded PostgreSQL's data");
  await runInitdb(unfinished, wanted);
  await rename(unfinished, wanted.data);
}

async function runInitdb(folder: string, wanted: NewCluster): Promise<void> {
  let complaint = "";
  for (const locale of LOCALES) {
    await using password = await passwordAsStdin(folder, wanted);
    const { code, output } = await initdb(folder, locale, password.file.fd, wanted);
    if (code === 0) return;
    complaint = output.trim();
    if (!complaint.includes("invalid locale")) break;
  }
  const nameless = complaint.includes("user does not exist");
  const advice = nameless ? " PostgreSQL wants an account with a name: give this uid an entry in /etc/passwd, or set DATABASE_URL." : "";
  throw new Error(`initdb could not create ${wanted.data}: ${complaint}${advice}`);
}

/**
 * The password as an open file that has no name any more: it is on no command line, and initdb's account need not be
 * able to follow a path to it.
 */
async function passwordAsStdin(folder: string, wanted: NewCluster): Promise<AsyncDisposable & { file: FileHandle }> {
  const path = `${folder}.password`;
  await rm(path, { force: true });
  const writing = await open(path, "wx", 0o600);
  await writing.writeFile(`${wanted.password}\n`);
  if (wanted.account !== undefined) await writing.chown(wanted.account.uid, wanted.account.gid);
  await writing.close();
  const file = await open(path, "r");
  await unlink(path);
  return { file, [Symbol.asyncDispose]: () => file.close() };
}

function initdb(folder: string, locale: string, stdin: number, wanted: NewCluster): Promise<{ code: number | null; output: string }> {
  const { account, binaries } = wanted;
  const args = [
    `--pgdata=${dataArgument(folder, account)}`,
    `--username=${ADMIN_ROLE}`,
    "--pwfile=/dev/stdin",
    "--auth-host=scram-sha-256",
    "--auth-local=reject",
    "--encoding=UTF8",
    // Builtin: an upgrade of the machine's libc changes no sort order, hence no index.
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    `--locale=${locale}`,
    "--no-instructions",
    ...(wanted.durable ? [] : ["--no-sync"]),
  ];
  return new Promise((resolve, reject) => {
    const child = spawn(binaries.initdb, args, {
      cwd: folder,
      ...identity(account),
      env: PROGRAM_ENVIRONMENT,
      stdio: [stdin, "pipe", "pipe"],
    });
    let output = "";
    child.stderr?.on("data", (chunk: Buffer) => (output += chunk.toString("utf8")));
    child.stdout?.resume();
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, output }));
  });
}

/**
 * How PostgreSQL is told its data folder. Its path may lead through a folder that the account cannot enter (a clone in
 * /root, `mktemp -d`), yet the data belongs under DATA_DIR: so root starts it inside the folder (`cwd`, entered before
 * the uid changes) and names that by /proc, which needs no right to the folders above. PostgreSQL stays in its data
 * folder all its life, so the name remains true for it and each of its children.
 */
export function dataArgument(folder: string, account: Account | undefined): string {
  return account !== undefined && process.platform === "linux" ? "/proc/self/cwd" : folder;
}

/** The part of spawn's options that changes the account. */
export function identity(account: Account | undefined): { uid?: number; gid?: number } {
  return account === undefined ? {} : { uid: account.uid, gid: account.gid };
}

/** Nothing of ours: the service's secrets are no business of PostgreSQL's environment. Its libraries are found by its own path. */
export const PROGRAM_ENVIRONMENT = { PATH: "/usr/bin:/bin", LC_MESSAGES: "C" } as const;
