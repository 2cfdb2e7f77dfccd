/**
 * `node scripts/node24.js [Node's options] <entry.ts> [arguments]`: installs what is missing and runs the entry on the
 * Node that package.json pins. Plain JavaScript, for Node 20 and later; also what scripts/start.js is made of.
 */

import { spawn } from "node:child_process";
import { realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureInstalled, pinnedNode } from "./install.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const LEAST_NODE = 20;
const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"];

/** Runs the entry in place of this process, or as its only child where Node cannot do that, and ends as it ends. */
export async function runOnPinnedNode(entry, args, nodeOptions = []) {
  const major = Number.parseInt(process.versions.node, 10);
  if (major < LEAST_NODE)
    fail(`This needs Node ${LEAST_NODE} or later to start (it brings its own Node 24 then); this is Node ${process.versions.node}.`);
  await ensureInstalled(root).catch((error) => fail(error.message));
  const node = pinnedNode(root);
  const commandLine = [...nodeOptions, join(root, entry), ...args];
  if (typeof process.execve === "function" && process.platform !== "win32") process.execve(node, [node, ...commandLine], ownEnvironment());
  else runAsChild(node, commandLine);
}

/** What was compiled once is kept, without its types: the next start takes half the time. */
function environment() {
  return { NODE_COMPILE_CACHE: join(root, ".cache", "node"), ...process.env };
}

/** Names npm as the parent that the program is to leave with: npm killed by SIGKILL passes nothing on. See src/main/leave-with-parent.ts. */
function ownEnvironment() {
  const { npm_lifecycle_event } = process.env;
  return npm_lifecycle_event === undefined ? environment() : { ...environment(), LEAVE_WITH_PARENT: String(process.ppid) };
}

/**
 * The child shares the terminal, and an IPC channel tells it when we are gone, be it by SIGKILL. Ctrl-C at a terminal
 * reaches both of us by itself; passing it on would make it two.
 */
function runAsChild(node, commandLine) {
  const child = spawn(node, commandLine, { stdio: ["inherit", "inherit", "inherit", "ipc"], env: environment() });
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (signal !== "SIGINT" || process.stdin.isTTY !== true) child.kill(signal);
    });
  }
  if (process.env.npm_lifecycle_event !== undefined) leaveWithNpm(child);
  child.once("error", (error) => fail(error.message));
  child.once("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    for (const name of SIGNALS) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}

/** npm killed by SIGKILL passes nothing on. */
function leaveWithNpm(child) {
  const npm = process.ppid;
  setInterval(() => process.ppid !== npm && child.kill("SIGTERM"), 500).unref();
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

if (realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const given = process.argv.slice(2);
  const at = given.findIndex((argument) => !argument.startsWith("-"));
  if (at < 0) fail("usage: node scripts/node24.js [Node's options] <entry.ts> [arguments]");
  await runOnPinnedNode(given[at], given.slice(at + 1), given.slice(0, at));
}
