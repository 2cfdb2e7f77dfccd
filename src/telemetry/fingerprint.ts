/** Groups errors that are the same mistake: name, top frame of our own, and the message without what changes. */

import type { Clock } from "#src/kernel/clock";
import { redactText } from "./redact.ts";

/** The frame nearest to the throw that is in our sources; `file:line` from `src/` or `dist/` on. */
function ownFrame(error: Error): string {
  const frames = (error.stack ?? "").split("\n").filter((line) => line.trimStart().startsWith("at "));
  const own = frames.find((line) => !line.includes("node_modules") && !line.includes("node:"));
  return /((?:src|dist|test)\/[^\s():]+:\d+)/.exec(own ?? "")?.[1] ?? "(elsewhere)";
}

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;
const QUOTED = /"[^"]*"|'[^']*'/g;

/** The name under which an error and its like are counted, e.g. `TypeError src/features/graph/follow.ts:41 x is not …`. Holds no ids and no input. */
export function fingerprintOf(thrown: unknown): string {
  const error = thrown instanceof Error ? thrown : new Error(`thrown: ${typeof thrown}`);
  const message = redactText(error.message).split("\n", 1)[0] ?? "";
  const constant = message.replaceAll(UUID, "#").replaceAll(QUOTED, "'…'").replaceAll(/\d+/g, "#").slice(0, 120);
  return `${error.name} ${ownFrame(error)} ${constant}`.trimEnd();
}

/** How often a mistake was seen, first and last. */
export interface ErrorGroup {
  readonly fingerprint: string;
  readonly count: number;
  readonly firstSeen: Date;
  readonly lastSeen: Date;
}

/** How many different mistakes are remembered; the one seen longest ago makes room. */
const MAX_GROUPS = 100;

/** Counts errors by fingerprint. */
export class ErrorGroups {
  readonly #groups = new Map<string, ErrorGroup>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Counts one and gives its fingerprint. */
  add(error: unknown): string {
    const fingerprint = fingerprintOf(error);
    const now = this.#clock.now();
    const known = this.#groups.get(fingerprint);
    this.#groups.delete(fingerprint);
    this.#groups.set(fingerprint, { fingerprint, count: (known?.count ?? 0) + 1, firstSeen: known?.firstSeen ?? now, lastSeen: now });
    const oldest = this.#groups.keys().next().value;
    if (this.#groups.size > MAX_GROUPS && oldest !== undefined) this.#groups.delete(oldest);
    return fingerprint;
  }

  /** All groups, the most frequent first. */
  list(): readonly ErrorGroup[] {
    return [...this.#groups.values()].sort((one, other) => other.count - one.count);
  }
}
