/** Secrets of one machine: the environment first (`SECRET_MAIL_PASSWORD` for `mail-password`), then a file of that name. */

import { constants } from "node:fs";
import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { Secret } from "#src/kernel/secret";
import { checkSecretName } from "../port.ts";

export interface SecretPlaces {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** `DATA_DIR/secrets`: 0700, its files 0600. */
  readonly folder: string;
}

/**
 * Reads one secret; one line end at the end of a file does not belong to it.
 * @throws Error when file or folder can be read by others, or the file is no plain file
 */
export async function readLocalSecret(places: SecretPlaces, name: string): Promise<Secret<string> | undefined> {
  checkSecretName(name);
  const given = places.environment[`SECRET_${name.toUpperCase().replaceAll("-", "_")}`];
  if (given !== undefined && given !== "") return new Secret(given);
  const text = await readPrivately(places.folder, name);
  return text === undefined ? undefined : new Secret(text.replace(/\r?\n$/, ""));
}

async function readPrivately(folder: string, name: string): Promise<string | undefined> {
  try {
    if (isOpenToOthers((await stat(folder)).mode)) throw new Error(`the secrets folder can be read by others: chmod 700 ${folder}`);
    // No following of links, and what is checked is the file that is read.
    await using file = await open(join(folder, name), constants.O_RDONLY | constants.O_NOFOLLOW);
    const found = await file.stat();
    if (!found.isFile()) throw new Error(`the secret ${name} is not a plain file`);
    if (isOpenToOthers(found.mode)) throw new Error(`the secret ${name} can be read by others: chmod 600 ${join(folder, name)}`);
    return await file.readFile("utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function isOpenToOthers(mode: number): boolean {
  return (mode & 0o077) !== 0;
}
