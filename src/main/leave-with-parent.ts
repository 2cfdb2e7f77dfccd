/** For a process started by `npm start`: to stop when what started it is gone, though nobody could send it a signal. */

const LOOK_EVERY_MS = 500;

/**
 * Calls `leave` once when the starter has gone: its IPC channel closed (scripts/node24.js runs us as a child), or our
 * parent is no longer the process named in LEAVE_WITH_PARENT (npm, where the script became this process). A start by
 * other means has neither, and nothing is watched.
 */
export function leaveWithParent(leave: () => void): void {
  if (process.connected) process.once("disconnect", leave);
  const parent = Number(process.env["LEAVE_WITH_PARENT"]);
  if (process.ppid !== parent) return;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    leave();
  }, LOOK_EVERY_MS);
  watch.unref();
}
