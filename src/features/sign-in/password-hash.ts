/** Password hashes, off the event loop and bounded: past the bound 503, so memory and waiting stay flat. */

import { createHash } from "node:crypto";
import { availableParallelism } from "node:os";
import { extname } from "node:path";
import { Piscina } from "piscina";
import { Problem } from "#src/kernel/problem";
import { readImported, type ImportedHash } from "./imported-hash.ts";
import type { HashTask } from "./password-worker.ts";
import { hashingBusy } from "./sign-in.errors.ts";

/** A place among those who wait for a hash. Give it back by disposing of it. */
export interface HashPlace extends Disposable {
  /** As `PasswordHasher.verify`, and never busy. */
  readonly verify: (password: string, stored: string | undefined) => Promise<boolean>;
  /** As `PasswordHasher.hash`, and never busy. */
  readonly hash: (password: string) => Promise<string>;
}

export interface PasswordHasher {
  /** @throws Problem `sign_in.busy` when there is no place now */
  readonly refuseWhenFull: () => void;
  /**
   * Takes a place for one password, before anything is spent on the attempt: a 503 must not use up a try of the account.
   * @throws Problem `sign_in.busy`
   */
  readonly reserve: () => HashPlace;
  /** A stored form: bcrypt's, or marked as pre-hashed for what bcrypt would cut. Never one of another system. @throws Problem `sign_in.busy` */
  readonly hash: (password: string) => Promise<string>;
  /** Whether the password is the one that was hashed. Without a hash the work is done all the same, and the answer is false. @throws Problem `sign_in.busy` */
  readonly verify: (password: string, stored: string | undefined) => Promise<boolean>;
  /** Whether a stored form is another than this process would make now. */
  readonly isOutdated: (stored: string) => boolean;
  /** Tasks that wait, for metrics. */
  readonly waiting: () => number;
  readonly close: () => Promise<void>;
}

interface Options {
  /** bcrypt's cost: 2^cost rounds. */
  readonly cost: number;
  readonly threads?: number;
  /** How many may wait for a thread; a second or two of work at cost 12. */
  readonly maxWaiting?: number;
}

const PREHASHED = "sha256$";
/** bcrypt reads 72 bytes and stops at a zero byte. */
const BCRYPT_BYTES = 72;

/** Starts the worker threads at the first password. Close it at the end. */
export function createPasswordHasher(options: Options): PasswordHasher {
  const threads = options.threads ?? availableParallelism();
  const places = threads + (options.maxWaiting ?? threads * 16);
  let taken = 0;
  const pool = new Piscina<HashTask, string | boolean>({
    filename: new URL(`./password-worker${extname(import.meta.url)}`, import.meta.url).href,
    minThreads: 0,
    maxThreads: threads,
    idleTimeout: 30_000,
    concurrentTasksPerWorker: 1,
  });
  const run: Run = (task) => pool.run(task);
  // Same cost as a real one, and no password has it: what an absent account's password is compared with.
  const nobody = run({ kind: "hash", password: "no account has this password", cost: options.cost });
  nobody.catch(() => {});
  const verify = verifier(run, nobody);
  const hash = async (password: string): Promise<string> => {
    const prepared = prepare(password);
    return `${prepared.mark}${String(await run({ kind: "hash", password: prepared.password, cost: options.cost }))}`;
  };
  const refuseWhenFull = (): void => {
    if (taken >= places) throw new Problem(hashingBusy, { retryAfterSeconds: 2 });
  };
  const reserve = (): HashPlace => {
    refuseWhenFull();
    taken += 1;
    let isHeld = true;
    const giveBack = (): void => {
      if (isHeld) taken -= 1;
      isHeld = false;
    };
    return { verify, hash, [Symbol.dispose]: giveBack };
  };
  return {
    refuseWhenFull,
    reserve,
    hash: async (password) => {
      using place = reserve();
      return await place.hash(password);
    },
    verify: async (password, stored) => {
      using place = reserve();
      return await place.verify(password, stored);
    },
    // One that was imported begins with its mark, and so is always outdated.
    isOutdated: (stored) => !stored.replace(PREHASHED, "").startsWith(`$2b$${String(options.cost).padStart(2, "0")}$`),
    waiting: () => pool.queueSize,
    close: async () => {
      await pool.destroy();
    },
  };
}

type Run = (task: HashTask) => Promise<string | boolean>;

/** @param nobody hash of the same cost that nobody's password has */
function verifier(run: Run, nobody: Promise<string | boolean>): HashPlace["verify"] {
  const verifyOurs = async (password: string, stored: string | undefined): Promise<boolean> => {
    const marked = stored?.startsWith(PREHASHED) === true;
    const hash = stored === undefined ? String(await nobody) : stored.slice(marked ? PREHASHED.length : 0);
    const same = await run({ kind: "verify", password: marked ? prehash(password) : prepare(password).password, hash });
    return stored !== undefined && marked === (prepare(password).mark !== "") && same === true;
  };
  const argon2id = oneByOne((password: string, hash: string) => run({ kind: "verify-argon2id", password, hash }));
  const verifyImported = async (password: string, { algorithm, hash }: ImportedHash): Promise<boolean> =>
    (await (algorithm === "argon2id" ? argon2id(password, hash) : run({ kind: "verify", password, hash }))) === true;
  return async (password, stored) => {
    const imported = stored === undefined ? undefined : readImported(stored);
    return imported === undefined ? await verifyOurs(password, stored) : await verifyImported(password, imported);
  };
}

/** argon2id may ask for 256 MiB, so one is worked out at a time; who waits holds a place, not memory. */
function oneByOne<Input extends readonly unknown[], Result>(
  work: (...input: Input) => Promise<Result>,
): (...input: Input) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve();
  return (...input) => {
    const mine = last.then(() => work(...input));
    last = mine.catch(() => {});
    return mine;
  };
}

/** Composed and decomposed spellings of one password are one password (NIST 800-63B-4, 3.1.1.2). */
function prepare(password: string): { readonly mark: string; readonly password: string } {
  const normal = password.normalize("NFC");
  if (Buffer.byteLength(normal) <= BCRYPT_BYTES) return { mark: "", password: normal };
  return { mark: PREHASHED, password: prehash(password) };
}

function prehash(password: string): string {
  return createHash("sha256").update(password.normalize("NFC")).digest("base64");
}
