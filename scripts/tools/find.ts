/** Where a program is on this machine. Looks, fetches nothing. */

import { spawnSync } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import type { Pin } from "./pins.ts";
import { pinKey } from "./pins.ts";

/** A program, or why there is none: one reason for each place. */
export type Finding = { readonly path: string } | { readonly path: undefined; readonly reasons: readonly string[] };

/** Environment that is looked at: TOOLS_DIR, PATH, XDG_CACHE_HOME. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Where the program itself is, when what is on PATH is a wrapper that wants an account of its own. */
const REAL_PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  "rabbitmq-server": ["/usr/lib/rabbitmq/bin"],
};
const VERSION_WITHIN_MS = 10_000;

/** Our folder: programs that were fetched or built once, for all checkouts of this account. */
export function cacheFolder(env: Environment = process.env): string {
  return join(env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "user-service-tools");
}

/** Any version will do: TOOLS_DIR, then PATH. */
export function findProgram(name: string, env: Environment = process.env): string | undefined {
  return [env["TOOLS_DIR"] ?? "", ...(REAL_PROGRAMS[name] ?? []), ...pathFolders(env)]
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

/**
 * TOOLS_DIR (whoever sets it answers for what is in it); PATH, where major and minor version must be the pinned ones; our cache.
 */
export function findPinned(pin: Pin, env: Environment = process.env): Finding {
  const given = join(env["TOOLS_DIR"] ?? "", pin.name);
  if (env["TOOLS_DIR"] && isExecutable(given)) return { path: given };
  const reasons = [env["TOOLS_DIR"] ? `not in TOOLS_DIR (${env["TOOLS_DIR"]})` : "TOOLS_DIR is not set"];

  const onPath = pathFolders(env)
    .map((folder) => join(folder, pin.name))
    .find(isExecutable);
  if (onPath === undefined) reasons.push("not on PATH");
  else if (isNear(pin, onPath)) return { path: onPath };
  else reasons.push(`${onPath} is ${versionOf(pin, onPath) ?? "of no known version"}, not ${pin.version}`);

  const cached = cachedPath(pin, env);
  if (isExecutable(cached)) return { path: cached };
  // Put there by hand or by another program, hence under its plain name.
  const plain = join(cacheFolder(env), pin.name);
  if (isExecutable(plain) && isNear(pin, plain)) return { path: plain };
  reasons.push(`not in ${cacheFolder(env)}`);
  return { path: undefined, reasons };
}

/** Where our cache has, or will have, the pinned version. */
export function cachedPath(pin: Pin, env: Environment = process.env): string {
  return join(cacheFolder(env), pinKey(pin), pin.name);
}

/** What the program says of its version: `1.36.3`; undefined where it does not run or says nothing like it. */
export function versionOf(pin: Pin, path: string): string | undefined {
  const { stdout, stderr } = spawnSync(path, pin.versionArguments, { encoding: "utf8", timeout: VERSION_WITHIN_MS });
  return /\d+\.\d+\.\d+/.exec(`${stdout}${stderr}`)?.[0];
}

function isNear(pin: Pin, path: string): boolean {
  const minor = (version: string | undefined): string | undefined => version?.split(".").slice(0, 2).join(".");
  return minor(versionOf(pin, path)) === minor(pin.version);
}

function pathFolders(env: Environment): string[] {
  return (env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
