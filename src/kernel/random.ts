/** Random bytes of the system's generator, fetched a few thousand at a time: one by one each costs a system call. */

import { randomFillSync } from "node:crypto";

const pool = Buffer.alloc(4096);
let used = pool.length;

/** `length` bytes fit for secrets, given to nobody else; at most 4,096. */
export function randomBytes(length: number): Buffer {
  if (used + length > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const given = Buffer.from(pool.subarray(used, used + length));
  pool.fill(0, used, used + length);
  used += length;
  return given;
}
