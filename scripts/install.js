/**
 * Makes node_modules fit package-lock.json. Plain JavaScript without dependencies: it runs before there are any, on
 * whatever Node the machine has.
 */

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withInstallLock } from "./install-lock.js";

const PROGRESS_EVERY_MS = 3_000;
/** `npm install` writes its list and package-lock.json in no fixed order. */
const SAME_NPM_RUN_MS = 5_000;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];

/** Installs the dependencies of `root` unless they are there. Safe to call from several processes at once. */
export async function ensureInstalled(root) {
  if (isInstalled(root)) return;
  mkdirSync(join(root, ".cache"), { recursive: true });
  await withInstallLock(join(root, ".cache", "install.lock"), say, async () => {
    // Another start may have installed while we waited.
    if (!isInstalled(root)) await install(root);
  });
}

/** The Node that npm installed, as package.json pins it; undefined where its install script was not run. */
export function pinnedNode(root) {
  const path = join(root, "node_modules", "node", "bin", process.platform === "win32" ? "node.exe" : "node");
  return existsSync(path) ? path : undefined;
}

/**
 * Whether node_modules was made from this package-lock.json. The stamp of an earlier start says so for certain; after
 * an `npm ci` by hand npm's own list, which it writes last, being the younger file does.
 */
function isInstalled(root) {
  if (pinnedNode(root) === undefined) return false;
  if (readIfThere(stampFile(root)) === fingerprint(root)) return true;
  const npmsList = mtimeMs(join(root, "node_modules", ".package-lock.json"));
  if (npmsList === undefined || npmsList + SAME_NPM_RUN_MS < mtimeMs(join(root, "package-lock.json"))) return false;
  writeFileSync(stampFile(root), fingerprint(root));
  return true;
}

async function install(root) {
  const modules = join(root, "node_modules");
  const previous = join(root, ".cache", "node_modules.previous");
  if (pinnedNode(root) !== undefined) {
    // Aside, not away: npm ci begins by deleting, and without a network there would be nothing left to run on.
    rmSync(previous, { recursive: true, force: true });
    renameSync(modules, previous);
  }
  const { code, output } = await npmCi(root);
  if (code === 0) {
    await ensurePinnedNode(root);
    writeFileSync(stampFile(root), fingerprint(root));
    rmSync(previous, { recursive: true, force: true });
    return;
  }
  if (!existsSync(previous)) throw new Error(`${explain(output)}\nNothing is installed yet, so there is nothing to run.`);
  rmSync(modules, { recursive: true, force: true });
  renameSync(previous, modules);
  say(`${explain(output)}\nGoing on with the packages of the last install, which may not fit this version.`);
}

async function npmCi(root) {
  const total = countWanted(root);
  const startMs = Date.now();
  const seconds = () => Math.round((Date.now() - startMs) / 1000);
  say(`Installing ${total} packages (once, and again when package-lock.json changes) …`);
  const progress = setInterval(() => {
    const there = countThere(root);
    say(`  … ${seconds()} s, ${there < total ? `${there} of ${total}` : "running their install scripts, one of which fetches Node 24"}`);
  }, PROGRESS_EVERY_MS);
  // What is in npm's cache is taken from there, so this works offline where it has been done before.
  // Development packages too, whatever NODE_ENV says: the pinned Node is one.
  const result = await npm(root, ["ci", "--prefer-offline", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"]);
  clearInterval(progress);
  if (result.code === 0) say(`Installed in ${seconds()} s.`);
  return result;
}

/** The package `node` fetches its program in an install script; where those are off (`ignore-scripts`) this one is run all the same. */
async function ensurePinnedNode(root) {
  if (pinnedNode(root) !== undefined) return;
  const { output } = await npm(root, ["rebuild", "node", "--ignore-scripts=false", "--loglevel=error"]);
  if (pinnedNode(root) === undefined) throw new Error(`npm could not install the pinned Node:\n${output}`);
}

function npm(root, args) {
  // Set by `npm start`: the npm that runs us, by the Node that runs it.
  const own = process.env.npm_execpath;
  const [command, first] = own !== undefined && own.endsWith(".js") ? [process.execPath, [own]] : ["npm", []];
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...first, ...args], {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      shell: process.platform === "win32",
    });
    let output = "";
    let interrupted = false;
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
    const interrupt = (signal) => {
      interrupted = true;
      child.kill(signal);
    };
    for (const signal of SIGNALS) process.on(signal, interrupt);
    child.once("error", reject);
    child.once("close", (code) => {
      // Only now, so that nobody else installs while our npm still writes.
      if (interrupted) process.exit(1);
      for (const signal of SIGNALS) process.off(signal, interrupt);
      resolve({ code, output });
    });
  });
}

function explain(output) {
  const offline = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|ENOTCACHED|ECONNRESET|network/.test(output);
  const reason = offline
    ? "npm could not reach the package registry. Connect to the network (or set npm's proxy) and start again."
    : "npm ci failed.";
  return `${reason} npm said:\n${output.trim().split("\n").slice(0, 12).join("\n")}`;
}

/** What stands directly in node_modules: what is nested is not worth the walk. */
function countWanted(root) {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  return Object.entries(packages).filter(([path, entry]) => /^node_modules\/(@[^/]+\/)?[^/]+$/.test(path) && entry.optional !== true)
    .length;
}

/** npm makes all folders first and fills them then. */
function countThere(root) {
  const modules = join(root, "node_modules");
  if (!existsSync(modules)) return 0;
  const names = readdirSync(modules).filter((name) => !name.startsWith("."));
  const paths = names.flatMap((name) =>
    name.startsWith("@") ? readdirSync(join(modules, name)).map((inner) => join(name, inner)) : [name],
  );
  return paths.filter((path) => existsSync(join(modules, path, "package.json"))).length;
}

function fingerprint(root) {
  return createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .update(`${process.platform} ${process.arch}`)
    .digest("hex");
}

function stampFile(root) {
  return join(root, "node_modules", ".installed-from");
}

function readIfThere(path) {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

function mtimeMs(path) {
  return existsSync(path) ? statSync(path).mtimeMs : undefined;
}

function say(text) {
  process.stderr.write(`${text}\n`);
}
