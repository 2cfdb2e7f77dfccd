/** Incarnations that are gone from the API server and whose end the service may not know: somebody took our finalizer off. */

import { keyOf, type UserBan } from "./userban.ts";

/** Deletions in the ordinary way that are on their way back to us; more than ever are at once. */
const MOST_ENDED = 10_000;

/** A list of ends to be said. */
export class GoneList {
  readonly #byKey = new Map<string, UserBan[]>();
  /** Ended in the ordinary way: that they are gone is no news. */
  readonly #ended = new Set<string>();

  /** That incarnation's end was said; its disappearance asks for nothing. */
  readonly isEnded = (uid: string): void => {
    if (this.#ended.size >= MOST_ENDED) this.#ended.clear();
    this.#ended.add(uid);
  };

  /** @returns the key to look at, unless its end was said */
  add(last: UserBan): string | undefined {
    if (this.#ended.delete(last.metadata.uid)) return undefined;
    const key = keyOf(last);
    const known = this.of(key).filter(({ metadata }) => metadata.uid !== last.metadata.uid);
    this.#byKey.set(key, [...known, last]);
    return key;
  }

  has(key: string): boolean {
    return this.#byKey.has(key);
  }

  of(key: string): readonly UserBan[] {
    return this.#byKey.get(key) ?? [];
  }

  remove(last: UserBan): void {
    const key = keyOf(last);
    const left = this.of(key).filter(({ metadata }) => metadata.uid !== last.metadata.uid);
    if (left.length > 0) this.#byKey.set(key, left);
    else this.#byKey.delete(key);
  }
}
