/** The keys of a process while it runs: read when they are first wanted, and again and again from then on. */

import { hash } from "node:crypto";
import { delay, type Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import type { Secret } from "#src/kernel/secret";
import { KeyRingRefused, parseKeyRing } from "./key-ring.ts";
import { holdKeyRing, type KeyRingHolder, type KeyRingSource } from "./key-ring-source.ts";

interface Needs {
  /** Reads the stored ring; undefined where there is none. */
  readonly read: (signal: AbortSignal) => Promise<Secret<string> | undefined>;
  /** Where an operator puts keys: told when there are none. */
  readonly place: string;
  readonly rereadMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** What is not as it should be; the keys of before go on. */
export interface KeyTrouble {
  /** For operators: nothing of the keys. */
  readonly summary: string;
  readonly sinceMonotonicMs: number;
}

const READ_WITHIN_MS = 5_000;

/**
 * Gives the ring that is stored, and follows it. Whatever cannot be read or must not be used changes nothing: a process with yesterday's
 * keys serves, one without keys does not.
 */
export class KeyRingWatch {
  readonly #needs: Needs;
  readonly #stopping = new AbortController();
  #holder: KeyRingHolder | undefined;
  #opening: Promise<KeyRingHolder> | undefined;
  #reading: Promise<void> | undefined;
  /** Of the text that was read last, used or refused. */
  #seen: string | undefined;
  #unread: KeyTrouble | undefined;
  #refused: KeyTrouble | undefined;

  constructor(needs: Needs) {
    this.#needs = needs;
  }

  /** The source, once the ring could be read. @throws KeyRingRefused when there is none or it is damaged, else why it could not be read */
  async open(signal: AbortSignal): Promise<KeyRingSource> {
    if (this.#holder !== undefined) return this.#holder;
    this.#opening ??= this.#first(signal).finally(() => (this.#opening = undefined));
    return await this.#opening;
  }

  /** Undefined before `open`, and while all is well. */
  trouble(): KeyTrouble | undefined {
    return this.#refused ?? this.#unread;
  }

  /** Since when the key that signs access tokens is there, in s; undefined where that is not known. */
  ageSeconds(): number | undefined {
    const createdAt = this.#holder?.current().accessSigner.createdAt;
    return createdAt === undefined ? undefined : (this.#needs.clock.now().getTime() - createdAt.getTime()) / 1000;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#reading;
  }

  async #first(signal: AbortSignal): Promise<KeyRingHolder> {
    const text = await this.#read(signal);
    this.#holder = holdKeyRing(this.#parse(text), this.#needs.clock);
    this.#seen = fingerprintOf(text);
    this.#reading = this.#keepReading(this.#holder);
    return this.#holder;
  }

  async #read(signal: AbortSignal): Promise<string | undefined> {
    const signals = [signal, this.#stopping.signal, AbortSignal.timeout(READ_WITHIN_MS)];
    return (await this.#needs.read(AbortSignal.any(signals)))?.reveal();
  }

  #parse(text: string | undefined): ReturnType<typeof parseKeyRing> {
    if (text === undefined) throw new KeyRingRefused(`there are no signing keys: put them in ${this.#needs.place}`);
    return parseKeyRing(text);
  }

  async #keepReading(holder: KeyRingHolder): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await delay(this.#needs.rereadMs, signal).catch(() => {});
      if (!signal.aborted) await this.#reread(holder);
    }
  }

  async #reread(holder: KeyRingHolder): Promise<void> {
    const { log } = this.#needs;
    let text: string | undefined;
    try {
      text = await this.#read(this.#stopping.signal);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      if (this.#unread === undefined)
        log.warn({ error }, "the signing keys cannot be read; those of before stay, and they are asked for again");
      this.#unread ??= this.#trouble("the signing keys cannot be read");
      return;
    }
    this.#unread = undefined;
    const fingerprint = fingerprintOf(text);
    if (fingerprint === this.#seen) return;
    this.#seen = fingerprint;
    this.#take(holder, text);
  }

  #take(holder: KeyRingHolder, text: string | undefined): void {
    const { log } = this.#needs;
    try {
      holder.replace(this.#parse(text));
      this.#refused = undefined;
      const { accessSigner, accessKeys } = holder.current();
      log.info({ signs: accessSigner.kid, accepted: [...accessKeys.keys()] }, "the signing keys were changed");
    } catch (error) {
      if (!(error instanceof KeyRingRefused)) throw error;
      this.#refused = this.#trouble(`the stored signing keys are refused, ${error.message}`);
      log.error({ why: error.message }, "the stored signing keys are refused; those of before stay");
    }
  }

  #trouble(summary: string): KeyTrouble {
    return { summary, sinceMonotonicMs: this.#needs.clock.monotonicMs() };
  }
}

function fingerprintOf(text: string | undefined): string {
  return text === undefined ? "none" : hash("sha256", text);
}
