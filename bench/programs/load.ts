/** The load process: sends HTTP requests as it is told and tells how they were answered. */

import { readFile } from "node:fs/promises";
import { delay, systemClock } from "#src/kernel/clock";
import { HttpConnection, httpRequest, type Answer, type RequestText } from "../kit/http-connection.ts";
import type { LoadPlan, LoadResult, Script } from "../kit/load-plan.ts";
import { answerCalls } from "../kit/rpc.ts";
import { quantile } from "../kit/statistics.ts";

/** A script with its requests as bytes and its place. */
interface Loaded {
  readonly requests: Buffer[];
  readonly texts: readonly RequestText[];
  readonly refreshes: boolean;
  readonly once: boolean;
  next: number;
}

const scripts = new Map<string, Loaded>();

answerCalls({
  /** The file holds a `Script` as JSON. */
  learn: async (file: string): Promise<void> => {
    const script = JSON.parse(await readFile(file, "utf8")) as Script;
    scripts.set(script.name, {
      requests: script.requests.map(httpRequest),
      texts: script.requests,
      refreshes: script.refreshes === true,
      once: script.once === true,
      next: 0,
    });
  },
  run: async (plan: LoadPlan): Promise<LoadResult> => {
    const script = scripts.get(plan.script);
    if (script === undefined) throw new Error(`no script ${plan.script}`);
    const run = new Run(script, plan);
    await run.finish();
    return run.result();
  },
});

class Run {
  readonly #script: Loaded;
  readonly #plan: LoadPlan;
  readonly #latencies: number[] = [];
  readonly #statuses: Record<string, number> = {};
  #broken = 0;
  #withRetryAfter = 0;
  #refusal: string | undefined;
  #firstMs = 0;
  #lastMs = 0;
  #lastServedNs = 0n;

  constructor(script: Loaded, plan: LoadPlan) {
    this.#script = script;
    this.#plan = plan;
  }

  async finish(): Promise<void> {
    const { connections, port, durationMs, ratePerSecond } = this.#plan;
    const open = await Promise.all(Array.from({ length: connections }, () => HttpConnection.open(port)));
    const endMs = systemClock.monotonicMs() + durationMs;
    try {
      if (ratePerSecond === undefined) await Promise.all(open.map((connection) => this.#saturate(connection, endMs)));
      else await this.#pace(open, endMs, ratePerSecond);
    } finally {
      for (const connection of open) connection[Symbol.dispose]();
    }
  }

  result(): LoadResult {
    const served = this.#latencies.length;
    const seconds = (this.#lastMs - this.#firstMs) / 1000;
    return {
      statuses: this.#statuses,
      broken: this.#broken,
      withRetryAfter: this.#withRetryAfter,
      ...(this.#refusal === undefined ? {} : { refusal: this.#refusal }),
      served,
      rate: seconds > 0 ? (served - 1) / seconds : 0,
      latency: {
        p50: quantile(this.#latencies, 0.5),
        p95: quantile(this.#latencies, 0.95),
        p99: quantile(this.#latencies, 0.99),
        max: quantile(this.#latencies, 1),
      },
      lastServedNs: String(this.#lastServedNs),
    };
  }

  async #saturate(connection: HttpConnection, endMs: number): Promise<void> {
    while (systemClock.monotonicMs() < endMs && this.#broken < 100 && !this.#isUsedUp()) await this.#send(connection, this.#take());
  }

  /** A request that finds no free connection waits for one, and its waiting counts. */
  async #pace(free: HttpConnection[], endMs: number, ratePerSecond: number): Promise<void> {
    const startMs = systemClock.monotonicMs();
    this.#firstMs = startMs;
    const idle = [...free];
    const due: number[] = [];
    const running = new Set<Promise<void>>();
    let begun = 0;
    const begin = (): void => {
      const connection = idle.pop();
      if (connection === undefined) return;
      const sending = this.#send(connection, this.#take(), due.shift()).then(() => {
        running.delete(sending);
        idle.push(connection);
        if (due.length > 0) begin();
      });
      running.add(sending);
    };
    for (let nowMs = startMs; nowMs < endMs; nowMs = systemClock.monotonicMs()) {
      for (; begun < ((nowMs - startMs) / 1000) * ratePerSecond; begun += 1) {
        // When it was sent or wanted to be, not when the timer ought to have fired: our own lateness is not the server's.
        due.push(systemClock.monotonicMs());
        begin();
      }
      await delay(1);
    }
    while (running.size > 0) await Promise.all(running);
  }

  #isUsedUp(): boolean {
    return this.#script.once && this.#script.next >= this.#script.requests.length;
  }

  #take(): number {
    const index = this.#script.next % this.#script.requests.length;
    this.#script.next += 1;
    return index;
  }

  async #send(connection: HttpConnection, index: number, sentMs = systemClock.monotonicMs()): Promise<void> {
    try {
      const answer = await connection.send(this.#script.requests[index] as Buffer);
      this.#count(answer, sentMs);
      if (this.#script.refreshes && answer.status === 200) this.#follow(index, answer);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      this.#broken += 1;
      await delay(10);
    }
  }

  #count(answer: Answer, sentMs: number): void {
    const nowMs = systemClock.monotonicMs();
    this.#statuses[answer.status] = (this.#statuses[answer.status] ?? 0) + 1;
    if (answer.hasRetryAfter) this.#withRetryAfter += 1;
    if (answer.status >= 300) {
      this.#refusal ??= answer.body();
      return;
    }
    this.#latencies.push(nowMs - sentMs);
    if (this.#firstMs === 0) this.#firstMs = nowMs;
    this.#lastMs = nowMs;
    this.#lastServedNs = process.hrtime.bigint();
  }

  #follow(index: number, answer: Answer): void {
    const { refreshToken } = JSON.parse(answer.body()) as { readonly refreshToken: string };
    const text = this.#script.texts[index] as RequestText;
    this.#script.requests[index] = httpRequest({ ...text, body: JSON.stringify({ refreshToken }) });
  }
}
