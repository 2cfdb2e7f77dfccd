/** One at a time across processes, and free again however its holder ended. */

import { DatabaseSync } from "node:sqlite";
import { delay, systemClock } from "#src/kernel/clock";

const POLL_MS = 15;
const SQLITE_BUSY = 5;

interface LockOptions {
  /** Gives up waiting and throws after this long. */
  readonly patienceMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Someone else held the lock for longer than the caller wanted to wait. */
export class LockHeld extends Error {}

/**
 * Runs `work` while holding the lock kept on the file `path`, which is made if absent and stays empty.
 *
 * The lock is SQLite's on a database without content: the one byte-range lock that Node offers on every system. The
 * kernel lifts it when the holder dies, so there is no stale lock, no pid to judge and no clean-up to race for.
 * @throws LockHeld when the wait takes longer than `patienceMs`
 */
export async function withFileLock<T>(path: string, options: LockOptions, work: () => Promise<T>): Promise<T> {
  const lock = new DatabaseSync(path);
  try {
    await acquire(lock, path, options);
    return await work();
  } finally {
    lock.close();
  }
}

async function acquire(lock: DatabaseSync, path: string, options: LockOptions): Promise<void> {
  const giveUpAtMs = systemClock.monotonicMs() + options.patienceMs;
  while (!tryLock(lock)) {
    if (systemClock.monotonicMs() > giveUpAtMs) throw new LockHeld(`${path} has been held by another process for ${options.patienceMs} ms`);
    await delay(POLL_MS, options.signal);
  }
}

function tryLock(lock: DatabaseSync): boolean {
  try {
    // Journal in memory: a file would outlive a killed holder.
    lock.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    return true;
  } catch (error) {
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return false;
    throw error;
  }
}
