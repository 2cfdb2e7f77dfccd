/** What a subscription is to tell, in order, until it is ended. */

import type { Beginning } from "./part.ts";

const OVER: IteratorResult<unknown> = { done: true, value: undefined };

/** By hand and no async generator: one that waits for its next event could not be ended from outside. */
export class Stream implements AsyncIterableIterator<unknown> {
  readonly eventName: string;
  readonly #onEnd: () => void;
  #beginning: Beginning<unknown> | undefined;
  #first: unknown[] = [];
  #pushed: unknown[] = [];
  #asked: ((result: IteratorResult<unknown>) => void) | undefined;
  #isOver = false;

  /** Keeps what is pushed from now on. @param onEnd called each time it is ended: what it holds is to be let go of */
  constructor(eventName: string, onEnd: () => void) {
    this.eventName = eventName;
    this.#onEnd = onEnd;
  }

  /** Pushed events that wait. What it begins with is not among them: the client asked for so much. */
  get unsent(): number {
    return this.#pushed.length;
  }

  begin(beginning: Beginning<unknown>): void {
    const early = this.#pushed;
    this.#pushed = [];
    this.#first = [...(beginning.first ?? [])];
    this.#beginning = beginning;
    for (const event of early) this.push(event);
  }

  push(event: unknown): void {
    if (this.#isOver || this.#beginning?.wants?.(event) === false) return;
    const asked = this.#asked;
    this.#asked = undefined;
    if (asked === undefined) this.#pushed.push(event);
    else asked({ done: false, value: event });
  }

  next(): Promise<IteratorResult<unknown>> {
    if (this.#isOver) return Promise.resolve(OVER);
    const waiting = this.#first.length > 0 ? this.#first : this.#pushed;
    if (waiting.length > 0) return Promise.resolve({ done: false, value: waiting.shift() });
    return new Promise((resolve) => (this.#asked = resolve));
  }

  return(): Promise<IteratorResult<unknown>> {
    this.#isOver = true;
    [this.#first, this.#pushed] = [[], []];
    this.#asked?.(OVER);
    this.#asked = undefined;
    this.#onEnd();
    return Promise.resolve(OVER);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
