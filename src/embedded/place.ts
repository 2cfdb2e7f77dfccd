/** What the embedded PostgreSQL keeps under DATA_DIR, and the password to it. */

import { randomBytes } from "node:crypto";
import { access, chmod, constants, mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";

/** Absolute paths; `data` is PostgreSQL's own folder, the rest is ours. */
export interface Place {
  readonly folder: string;
  readonly data: string;
  readonly lock: string;
  readonly log: string;
  readonly port: string;
  readonly passwordFile: string;
}

/** Makes the folders around the data; `secrets` is closed to everyone else whatever the umask says. */
export async function preparePlace(dataDir: string): Promise<Place> {
  const root = resolve(dataDir);
  const folder = join(root, "postgres");
  const secrets = join(root, "secrets");
  try {
    await mkdir(folder, { recursive: true });
    await mkdir(secrets, { recursive: true, mode: 0o700 });
    await chmod(secrets, 0o700);
    await access(folder, constants.R_OK | constants.W_OK);
  } catch (cause) {
    throw new Error(`DATA_DIR ${root} cannot be written by this account: start as its owner or set another DATA_DIR`, { cause });
  }
  return {
    folder,
    data: join(folder, "data"),
    lock: join(folder, "lock"),
    log: join(folder, "log"),
    port: join(folder, "port"),
    passwordFile: join(secrets, "postgres-password"),
  };
}

/** The password of both roles. Made once, when there is none; call under the lock. */
export async function readOrMakePassword(path: string): Promise<string> {
  const found = await readIfThere(path);
  if (found !== undefined && found.trim() !== "") return found.trim();
  const password = randomBytes(24).toString("hex");
  await writeFile(path, `${password}\n`, { mode: 0o600 });
  return password;
}

/** The file's text, or undefined where there is none. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
