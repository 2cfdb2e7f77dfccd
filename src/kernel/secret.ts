/** A value that does not show itself in logs, JSON or errors. */

import { inspect } from "node:util";

/** Holds a secret; only `reveal()` gives it, so every use can be found by its name. */
export class Secret<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  /** The secret itself. */
  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return "[secret]";
  }

  toJSON(): string {
    return "[secret]";
  }

  [inspect.custom](): string {
    return "[secret]";
  }
}
