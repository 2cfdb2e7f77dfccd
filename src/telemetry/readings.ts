/** Figures that belong to other rooms: read when somebody asks, each bounded, none able to disturb another. */

import { Gauge, type Registry } from "prom-client";

/** A figure of another room; undefined while it is not known. */
export type Reading = () => number | undefined | Promise<number | undefined>;

/** A reading that takes longer, in ms, is left out. */
const READING_LIMIT_MS = 1_000;

/** The registered readings, as gauges and by name. */
export class Readings {
  readonly #registry: Registry;
  readonly #readings = new Map<string, Reading>();

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** @throws Error when the name is taken */
  add(name: string, help: string, read: Reading): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      async collect() {
        const value = await bounded(read);
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });
    this.#readings.set(name, read);
  }

  /** What is known just now, by name. */
  async read(): Promise<Record<string, number>> {
    const all = await Promise.all([...this.#readings].map(async ([name, read]) => [name, await bounded(read)] as const));
    return Object.fromEntries(all.filter((one): one is readonly [string, number] => one[1] !== undefined));
  }
}

function bounded(read: Reading): Promise<number | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), READING_LIMIT_MS);
    void Promise.resolve()
      .then(read)
      .then(resolve, () => resolve(undefined))
      .finally(() => clearTimeout(timer));
  });
}
