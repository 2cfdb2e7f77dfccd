/** A counter with one label whose values come from elsewhere: bounded in number, and read back for the summary. */

import { Counter, type Registry } from "prom-client";

/** How many values a label may take; further ones, and what is no word, are counted together. */
const MAX_VALUES = 100;

/** Counts by the value of one label. */
export class LabelledCount {
  readonly #counter: Counter;
  readonly #label: string;
  readonly #counts = new Map<string, number>();

  constructor(registry: Registry, named: { readonly name: string; readonly help: string; readonly label: string }) {
    this.#label = named.label;
    this.#counter = new Counter({ name: named.name, help: named.help, labelNames: [named.label], registers: [registry] });
  }

  add(value: string): void {
    const known = this.#counts.has(value) || (this.#counts.size < MAX_VALUES && /^[\w.:-]{1,60}$/.test(value));
    const counted = known ? value : "other";
    this.#counts.set(counted, (this.#counts.get(counted) ?? 0) + 1);
    this.#counter.inc({ [this.#label]: counted });
  }

  /** The counts by value. */
  all(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }
}
