/** Who follows whom in a society, as rows of a binary COPY: some are followed by everybody, a few by very many, most by few. */

import { chanceFrom, type Chance } from "./names.ts";

/** Persons who look at others in the bench; nothing keeps them from it. */
export const VIEWERS = 1_000;
/** The last of the viewers, who follow nobody. */
const STRANGERS = 10;
const STARS = 2;
/** Nobody follows more than the square root of all times this: 2,000 of a million. */
const MOST = 2;
/** A prime greater than any number of people, so that ranks go to numbers one to one and not by age. */
const SPREAD = 2_654_435_761;
/** 16 bytes of an id in two values with their lengths, the state, the moment, and how many columns there are. */
const ROW_BYTES = 2 + 20 + 20 + 13 + 12;
const CHUNK_ROWS = 8_192;
const HEADER = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");
/** Microseconds of the year in which everything happened, and its begin as PostgreSQL counts: from 2000 on. */
const YEAR_US = 365 * 86_400 * 1e6;
const BEGIN_US = (Date.UTC(2025, 0, 1) - Date.UTC(2000, 0, 1)) * 1_000;

/** Whose rank it is among the followed, from 0. */
function numberAt(rank: number, people: number): number {
  return 1 + ((rank * SPREAD + people - 1) % people);
}

/** Whom everybody follows. */
export function starsOf(people: number): number[] {
  return Array.from({ length: STARS }, (_, rank) => numberAt(rank, people));
}

/** Stars and viewers are neither restricted nor private. */
export function isReserved(number: number, people: number): boolean {
  return number <= VIEWERS || starsOf(people).includes(number);
}

/** Who follows whom: the followees of person n are those from `offsets[n]` up to `offsets[n + 1]`. */
interface Edges {
  readonly offsets: Uint32Array;
  readonly followees: Uint32Array;
}

/**
 * Rows in about the order in which they would have come about: everybody's first follow, everybody's second, so that those of one
 * person lie apart in the table.
 */
export function* followRows(people: number, total: number): Generator<Buffer> {
  const chance = chanceFrom(people + 1);
  const { offsets, followees } = edgesOf(people, total, chance);
  const stars = new Set(starsOf(people));
  yield HEADER;
  let rows = new Rows();
  let still = Array.from({ length: people }, (_, place) => place + 1);
  for (let pass = 0; still.length > 0; pass += 1) {
    still = still.filter((follower) => (offsets[follower] ?? 0) + pass < (offsets[follower + 1] ?? 0));
    for (const follower of still) {
      const count = (offsets[follower + 1] ?? 0) - (offsets[follower] ?? 0);
      const followee = followees[(offsets[follower] ?? 0) + pass] ?? 0;
      rows.add(follower, followee, stateOf(followee, stars, people, chance), BEGIN_US + Math.floor(((pass + chance()) / count) * YEAR_US));
      if (!rows.isFull()) continue;
      yield rows.taken();
      rows = new Rows();
    }
  }
  yield rows.taken();
  yield Buffer.from([0xff, 0xff]);
}

type State = "accepted" | "requested" | "gone";

function stateOf(followee: number, stars: ReadonlySet<number>, people: number, chance: Chance): State {
  const share = chance();
  if (stars.has(followee)) return "accepted";
  // As `seedRest` makes people private.
  if (followee % 16 === 5 && !isReserved(followee, people) && share < 0.2) return "requested";
  return share > 0.99 ? "gone" : "accepted";
}

/** Each follows the stars, and others by their rank: how often somebody is chosen is as one to the rank. */
function edgesOf(people: number, total: number, chance: Chance): Edges {
  const offsets = new Uint32Array(people + 2);
  for (let number = 1; number <= people; number += 1)
    offsets[number + 1] = (offsets[number] ?? 0) + degreeOf(number, people, total, chance);
  const followees = new Uint32Array(offsets[people + 1] ?? 0);
  const stars = starsOf(people);
  const chosenBy = new Uint32Array(people + 1);
  const span = Math.log(people - STARS);
  for (let follower = 1; follower <= people; follower += 1) {
    chosenBy[follower] = follower;
    let place = offsets[follower] ?? 0;
    const end = offsets[follower + 1] ?? 0;
    const choose = (followee: number): void => {
      if (place === end || chosenBy[followee] === follower) return;
      chosenBy[followee] = follower;
      followees[place] = followee;
      place += 1;
    };
    for (const star of stars) choose(star);
    for (let tries = 0; place < end; tries += 1) {
      const rank =
        tries < 4 * (end - (offsets[follower] ?? 0)) ? STARS - 1 + Math.floor(Math.exp(chance() * span)) : Math.floor(chance() * people);
      choose(numberAt(rank, people));
    }
  }
  return { offsets, followees };
}

/** Most follow about ten, a few thousands: Pareto with 1.5. */
function degreeOf(number: number, people: number, total: number, chance: Chance): number {
  const others = total / people - STARS;
  const drawn = Math.floor((0.36 * others) / (1 - chance()) ** (1 / 1.5));
  if (number > VIEWERS - STRANGERS && number <= VIEWERS) return 0;
  // A star follows the other one.
  const stars = STARS - (starsOf(people).includes(number) ? 1 : 0);
  return stars + Math.min(drawn, Math.floor(MOST * people ** 0.5));
}

class Rows {
  readonly #bytes = Buffer.alloc(ROW_BYTES * CHUNK_ROWS);
  #end = 0;

  isFull(): boolean {
    return this.#end > ROW_BYTES * (CHUNK_ROWS - 1);
  }

  taken(): Buffer {
    return this.#bytes.subarray(0, this.#end);
  }

  add(follower: number, followee: number, state: State, momentUs: number): void {
    const bytes = this.#bytes;
    this.#end = bytes.writeUInt16BE(4, this.#end);
    this.#id(follower);
    this.#id(followee);
    this.#end = bytes.writeUInt32BE(state.length, this.#end);
    this.#end += bytes.write(state, this.#end, "latin1");
    this.#end = bytes.writeUInt32BE(8, this.#end);
    this.#end = bytes.writeUInt32BE(Math.floor(momentUs / 2 ** 32), this.#end);
    this.#end = bytes.writeUInt32BE(momentUs % 2 ** 32, this.#end);
  }

  /** As `userIdOf` makes them. */
  #id(number: number): void {
    const bytes = this.#bytes;
    this.#end = bytes.writeUInt32BE(16, this.#end);
    this.#end = bytes.writeUInt32BE(0x01930000, this.#end);
    this.#end = bytes.writeUInt32BE(0x00007000, this.#end);
    this.#end = bytes.writeUInt32BE(0x80000000, this.#end);
    this.#end = bytes.writeUInt32BE(number, this.#end);
  }
}
