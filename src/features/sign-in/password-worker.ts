/**
 * Runs in a worker thread: bcrypt, synchronously, at low priority, so that a storm of sign-ins slows neither the event
 * loop nor what it serves. @node-rs/bcrypt where its binary loads, bcryptjs else; both write `$2b$`, and cut what they compare after
 * 72 bytes. argon2id is only ever compared with, for accounts that came from another system, and loaded for the first of them.
 */

import { setPriority } from "node:os";

interface Bcrypt {
  readonly hashSync: (password: string, cost: number) => string;
  readonly compareSync: (password: string, hash: string) => boolean;
}

/** What the pool asks of a worker. */
export type HashTask =
  | { readonly kind: "hash"; readonly password: string; readonly cost: number }
  | { readonly kind: "verify" | "verify-argon2id"; readonly password: string; readonly hash: string };

/** On Linux a priority belongs to the thread that sets it; elsewhere it would slow the whole process. */
const LOW_PRIORITY = 10;
if (process.platform === "linux") setPriority(0, LOW_PRIORITY);

const bcrypt = await load();

async function load(): Promise<Bcrypt> {
  try {
    const native = await import("@node-rs/bcrypt");
    return {
      hashSync: (password, cost) => native.hashSync(password, cost),
      compareSync: (password, hash) => native.verifySync(password, hash),
    };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const { default: portable } = await import("bcryptjs");
    return {
      hashSync: (password, cost) => portable.hashSync(password, cost),
      compareSync: (password, hash) => portable.compareSync(password, hash),
    };
  }
}

/** The pool calls this with each task. */
// oxlint-disable-next-line import/no-default-export -- piscina calls the default export
export default async function work(task: HashTask): Promise<string | boolean> {
  switch (task.kind) {
    case "hash":
      return bcrypt.hashSync(task.password, task.cost);
    case "verify":
      return bcrypt.compareSync(task.password, task.hash);
    case "verify-argon2id":
      return (await import("@node-rs/argon2")).verifySync(task.hash, task.password);
  }
}
