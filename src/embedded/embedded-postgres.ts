/**
 * The PostgreSQL of `npm start` and of the tests: a server on a folder, shared by every process that starts on it.
 *
 * Whoever comes first starts it, whoever leaves last stops it, and what a killed process left running is used again.
 * All steps that change who runs what are taken under one file lock; who is still there is known by who is connected.
 */

import { delay, systemClock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { accountFor } from "./account.ts";
import { findBinaries } from "./binaries.ts";
import { ADMIN_ROLE, ensureCluster } from "./cluster.ts";
import { LockHeld, withFileLock } from "./file-lock.ts";
import { launchServer } from "./launch.ts";
import { Member, SERVICE_DATABASE, SERVICE_ROLE } from "./member.ts";
import type { Place } from "./place.ts";
import { preparePlace, readOrMakePassword } from "./place.ts";
import { endServer, inspectServer } from "./running-server.ts";

/** How to start. */
export interface EmbeddedPostgresOptions {
  /** Everything lives in `<dataDir>/postgres` and `<dataDir>/secrets`. */
  readonly dataDir: string;
  /** Default: that of last time if it is free, else any. A server that runs already keeps its own. */
  readonly port?: number;
  readonly log: Log;
  /** Server parameters, of which `fsync: "off"` also saves the flushes of initdb. Ignored by a server that runs already. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Whether to start the server again when it dies while we use it. */
  readonly supervise: boolean;
}

/** A server in use. `stop` (or disposal) ends the use, and the server with its last user. */
export interface EmbeddedPostgres extends AsyncDisposable {
  /** The service's database, as the role that owns it. */
  readonly url: string;
  /** The same: there is no pooler in between. */
  readonly directUrl: string;
  /** Database `postgres` as superuser: for tests that make databases, never for the service. */
  readonly adminUrl: string;
  readonly port: number;
  /** Of the server's main process; another one after a restart. */
  readonly pid: number;
  readonly stop: () => Promise<void>;
}

/** Another start may be in initdb (seconds) or in recovery (a minute or two after a crash). */
const JOIN_PATIENCE_MS = 180_000;
const LEAVE_PATIENCE_MS = 15_000;
/** For a server that is starting, recovering from a crash or stopping. */
const SETTLED_WITHIN_MS = 120_000;
const SETTLING_POLL_MS = 50;
/** Connections that a server which calls itself ready lets time out (4 s each) or cuts, before we call it stuck. */
const MOST_REFUSALS = 2;
const RESTART_DELAY_MS = { first: 100, longest: 5_000 } as const;

/** Starts PostgreSQL on `dataDir`, or joins the one that runs there. */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const place = await preparePlace(options.dataDir);
  const use = new Use(place, options);
  await use.join();
  return use;
}

/** SQLSTATE invalid_password and cannot_connect_now. */
const WRONG_PASSWORD = "28P01";
const NOT_YET = "57P03";

class Use implements EmbeddedPostgres {
  readonly #place: Place;
  readonly #options: EmbeddedPostgresOptions;
  readonly #leaving = new AbortController();
  #member: Member | undefined;
  #password = "";
  #port: number | undefined;
  #pid = 0;
  #recovery: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | undefined;

  constructor(place: Place, options: EmbeddedPostgresOptions) {
    this.#place = place;
    this.#options = options;
    this.#port = options.port;
  }

  get url(): string {
    return this.#urlOf(SERVICE_ROLE, SERVICE_DATABASE);
  }

  get directUrl(): string {
    return this.url;
  }

  get adminUrl(): string {
    return this.#urlOf(ADMIN_ROLE, "postgres");
  }

  get port(): number {
    return this.#port as number;
  }

  get pid(): number {
    return this.#pid;
  }

  readonly stop = (): Promise<void> => (this.#stopped ??= this.#leave());

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Makes sure that a server runs and that we are one of its users. */
  join(): Promise<void> {
    const lock = { patienceMs: JOIN_PATIENCE_MS, signal: this.#leaving.signal };
    return withFileLock(this.#place.lock, lock, async () => {
      this.#password = await readOrMakePassword(this.#place.passwordFile);
      if (!(await this.#joinRunning())) await this.#joinLaunched();
    });
  }

  /** Joins the server that runs, if one does; waits for one that is starting, recovering or stopping; ends one that is stuck. */
  async #joinRunning(): Promise<boolean> {
    const giveUpAtMs = systemClock.monotonicMs() + SETTLED_WITHIN_MS;
    for (let refusals = 0; ;) {
      const state = await inspectServer(this.#place.data);
      if (state.kind !== "running") return false;
      const answer = state.ready ? await this.#tryJoin(state) : "wait";
      if (answer === "joined") return true;
      if (answer === "refused") refusals += 1;
      if (refusals >= MOST_REFUSALS || systemClock.monotonicMs() > giveUpAtMs) {
        this.#options.log.warn({ pid: state.pid }, "the embedded PostgreSQL that is running does not answer: ending it");
        await endServer(this.#place.data, state.pid, "SIGQUIT");
        return false;
      }
      await delay(SETTLING_POLL_MS, this.#leaving.signal);
    }
  }

  async #tryJoin(server: { pid: number; port: number }): Promise<"joined" | "wait" | "refused"> {
    try {
      await this.#become(server);
      this.#options.log.info({ pid: server.pid, port: server.port }, "joined the embedded PostgreSQL that was running");
      return "joined";
    } catch (error) {
      if (sqlState(error) === WRONG_PASSWORD) throw this.#passwordLost(error);
      return sqlState(error) === NOT_YET ? "wait" : "refused";
    }
  }

  async #joinLaunched(): Promise<void> {
    const { place, options } = { place: this.#place, options: this.#options };
    const settings = options.settings ?? {};
    const account = await accountFor(place.data);
    const binaries = await findBinaries(account);
    const durable = settings["fsync"] !== "off";
    await ensureCluster({ data: place.data, binaries, account, password: this.#password, durable, log: options.log });
    const server = await launchServer({ place, binaries, account, port: this.#port, settings });
    try {
      await this.#become(server);
    } catch (error) {
      await endServer(place.data, server.pid);
      throw sqlState(error) === WRONG_PASSWORD ? this.#passwordLost(error) : error;
    }
    options.log.info({ pid: server.pid, port: server.port, version: binaries.version }, "started the embedded PostgreSQL");
  }

  async #become(server: { pid: number; port: number }): Promise<void> {
    const access = { port: server.port, password: this.#password };
    this.#member = await Member.join(access, () => this.#onServerLost());
    this.#port = server.port;
    this.#pid = server.pid;
  }

  #onServerLost(): void {
    if (this.#leaving.signal.aborted) return;
    this.#options.log.warn({ pid: this.#pid, willRestart: this.#options.supervise }, "the embedded PostgreSQL went away");
    if (this.#options.supervise) this.#recovery = this.#recover();
  }

  /** Tries until there is a server again. All users of the folder come here at once; the lock lets one start it, the rest join. */
  async #recover(): Promise<void> {
    for (
      let delayMs: number = RESTART_DELAY_MS.first;
      !this.#leaving.signal.aborted;
      delayMs = Math.min(delayMs * 2, RESTART_DELAY_MS.longest)
    ) {
      const startedAtMs = systemClock.monotonicMs();
      try {
        await this.join();
        return;
      } catch (error) {
        if (this.#leaving.signal.aborted) return;
        const tookMs = Math.round(systemClock.monotonicMs() - startedAtMs);
        this.#options.log.error({ error, tookMs, retryInMs: delayMs }, "the embedded PostgreSQL could not be started again");
        await delay(delayMs, this.#leaving.signal).catch(() => {});
      }
    }
  }

  async #leave(): Promise<void> {
    this.#leaving.abort(new Error("leaving the embedded PostgreSQL"));
    await this.#recovery;
    try {
      await withFileLock(this.#place.lock, { patienceMs: LEAVE_PATIENCE_MS }, () => this.#leaveLocked());
    } catch (error) {
      if (!(error instanceof LockHeld)) throw error;
      // Someone has been starting the server for all that time; it is theirs to stop.
      this.#options.log.warn({ error }, "left the embedded PostgreSQL to the process that is starting it");
    }
  }

  async #leaveLocked(): Promise<void> {
    const state = await inspectServer(this.#place.data);
    const outcome = await this.#member?.leave();
    if (state.kind !== "running" || outcome === "others-stay") return;
    // Gone from our side only (it was restarted by another user, or our connection was cut): ask again with a new one.
    if (outcome !== "last" && !(await this.#nobodyElseUses(state.port))) return;
    await endServer(this.#place.data, state.pid);
    this.#options.log.info({ pid: state.pid }, "stopped the embedded PostgreSQL");
  }

  async #nobodyElseUses(port: number): Promise<boolean> {
    try {
      const member = await Member.join({ port, password: this.#password }, () => {});
      return (await member.leave()) === "last";
    } catch {
      return false;
    }
  }

  #passwordLost(cause: unknown): Error {
    const { passwordFile, folder } = this.#place;
    return new Error(
      `The password in ${passwordFile} does not open the PostgreSQL of ${folder}. Restore that file, or move the folder away to begin empty.`,
      { cause },
    );
  }

  #urlOf(role: string, database: string): string {
    return `postgres://${role}:${this.#password}@127.0.0.1:${this.port}/${database}`;
  }
}

function sqlState(error: unknown): unknown {
  return (error as { code?: unknown }).code;
}
