/** One install at a time. A file that its holder touches, since Node 20 has no lock that the system would lift. */

import { readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";

const TOUCH_EVERY_MS = 1_000;
const LOOK_EVERY_MS = 200;
/** Counted by the one who waits, so that a machine that slept or set its clock strips nobody of the lock. */
const DEAD_AFTER_MS = 10_000;

/** Runs `work` while holding the lock file `path`; says so when it has to wait. */
export async function withInstallLock(path, say, work) {
  const mine = `${process.pid} ${Math.random().toString(36).slice(2)}`;
  await acquire(path, mine, say);
  const touching = setInterval(() => {
    if (read(path) === mine) utimesSync(path, new Date(), new Date());
  }, TOUCH_EVERY_MS);
  const release = () => {
    if (read(path) === mine) rmSync(path, { force: true });
  };
  process.once("exit", release);
  try {
    return await work();
  } finally {
    clearInterval(touching);
    process.off("exit", release);
    release();
  }
}

async function acquire(path, mine, say) {
  let seen = "";
  let seenMs = 0;
  while (!create(path, mine)) {
    const state = look(path);
    if (seen === "") say("Another start is installing; waiting for it …");
    if (state !== seen) {
      seen = state;
      seenMs = performance.now();
    } else if (performance.now() - seenMs > DEAD_AFTER_MS) removeDead(path, seen);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

function create(path, mine) {
  try {
    writeFileSync(path, mine, { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
}

/** Whose lock it is and when they last touched it: as long as this changes, they live. */
function look(path) {
  try {
    return `${read(path)} ${statSync(path).mtimeMs}`;
  } catch {
    return "gone";
  }
}

/** By renaming, which succeeds for one of those who wait; the last look keeps a slower one off the faster one's new lock. */
function removeDead(path, seen) {
  const away = `${path}.${process.pid}`;
  try {
    if (look(path) !== seen) return;
    renameSync(path, away);
    rmSync(away, { force: true });
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
}

function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
