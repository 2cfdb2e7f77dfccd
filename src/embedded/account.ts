/** Whom PostgreSQL runs as. It refuses uid 0, so a start by root needs another account. */

import { execFile } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** An account of this machine that owns the data and runs the server. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** `postgres` is made for this; `nobody` is on every system. */
const PREFERRED = ["postgres", "nobody"] as const;
const CREATED = "user-service-db";

/**
 * The account to run PostgreSQL as, or undefined to run it as ourselves (any start that is not by root).
 *
 * Data that exists already is served by its owner, so that root may start what an ordinary user made, and a `postgres`
 * account installed later does not strand the data of `nobody`.
 */
export async function accountFor(dataFolder: string, passwdPath = "/etc/passwd"): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = await readAccounts(passwdPath);
  const owner = await ownerOf(dataFolder);
  if (owner !== undefined && owner.uid !== 0) return { name: nameOf(accounts, owner.uid), ...owner };
  return preferred(accounts) ?? createAccount(passwdPath);
}

function preferred(accounts: readonly Account[]): Account | undefined {
  for (const name of PREFERRED) {
    const account = accounts.find((candidate) => candidate.name === name && candidate.uid !== 0);
    if (account !== undefined) return account;
  }
  return undefined;
}

async function createAccount(passwdPath: string): Promise<Account> {
  try {
    await run("useradd", ["--system", "--no-create-home", "--shell", "/usr/sbin/nologin", CREATED]);
  } catch (cause) {
    throw new Error(
      `PostgreSQL does not run as root, there is no account ${PREFERRED.join(" or ")}, and creating ${CREATED} failed. ` +
        `Create one of them, start as an ordinary user, or set DATABASE_URL.`,
      { cause },
    );
  }
  const created = (await readAccounts(passwdPath)).find((account) => account.name === CREATED);
  if (created === undefined) throw new Error(`useradd made ${CREATED}, but it is not in ${passwdPath}`);
  return created;
}

async function readAccounts(passwdPath: string): Promise<readonly Account[]> {
  const text = await readFile(passwdPath, "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => {
    const [name, , uid, gid] = line.split(":");
    return name === undefined || uid === undefined || gid === undefined ? [] : [{ name, uid: Number(uid), gid: Number(gid) }];
  });
}

function nameOf(accounts: readonly Account[], uid: number): string {
  return accounts.find((account) => account.uid === uid)?.name ?? `uid ${uid}`;
}

async function ownerOf(folder: string): Promise<{ uid: number; gid: number } | undefined> {
  try {
    const { uid, gid } = await stat(folder);
    return { uid, gid };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
