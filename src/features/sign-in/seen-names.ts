/** Which ids and names a file has had so far, in eight bytes each. */

import { createHash } from "node:crypto";

const FIRST_PLACES = 1 << 12;
/** Above this share of places taken, probes grow long. */
const MOST_TAKEN = 0.5;

/**
 * A set of texts that keeps 64 bits of each one's hash: 16 to 32 MB for a million, and a wrong yes for one of ten billion
 * questions then. Open addressing, linear probing; 0 marks a free place.
 */
export class SeenNames {
  #places = new BigUint64Array(FIRST_PLACES);
  #count = 0;

  has(text: string): boolean {
    const key = keyOf(text);
    return this.#places[this.#placeOf(key)] === key;
  }

  add(text: string): void {
    const key = keyOf(text);
    const place = this.#placeOf(key);
    if (this.#places[place] === key) return;
    this.#places[place] = key;
    this.#count += 1;
    if (this.#count > this.#places.length * MOST_TAKEN) this.#grow();
  }

  #placeOf(key: bigint): number {
    const mask = this.#places.length - 1;
    let place = Number(key & BigInt(mask));
    while (this.#places[place] !== 0n && this.#places[place] !== key) place = (place + 1) & mask;
    return place;
  }

  #grow(): void {
    const before = this.#places;
    this.#places = new BigUint64Array(before.length * 2);
    for (const key of before) if (key !== 0n) this.#places[this.#placeOf(key)] = key;
  }
}

function keyOf(text: string): bigint {
  return createHash("sha1").update(text).digest().readBigUInt64BE() || 1n;
}
