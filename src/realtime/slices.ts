/** Work on many sockets in pieces with a loop turn between: one emit to 5,000 would hold the loop 83–132 ms (FACTS). */

/** Recipients that are written to in one turn of the loop. */
export const SLICE = 500;

interface Piece {
  readonly size: number;
  readonly run: () => void;
}

/** Pieces are done in the order they were asked for, so two messages to one socket stay in order; at once while the turn has room. */
export class Slices {
  readonly #waiting: Piece[] = [];
  #doneThisTurn = 0;
  #isTurnSet = false;

  /** Calls `act` for each item, at most a slice in one turn. */
  each<Item>(items: readonly Item[], act: (item: Item) => void): void {
    for (let start = 0; start < items.length; start += SLICE) {
      const slice = items.slice(start, start + SLICE);
      this.#waiting.push({ size: slice.length, run: () => slice.forEach(act) });
    }
    this.#work();
  }

  /** Pieces that wait for a later turn. */
  get backlog(): number {
    return this.#waiting.length;
  }

  #work(): void {
    while (this.#doneThisTurn < SLICE) {
      const piece = this.#waiting.shift();
      if (piece === undefined) break;
      this.#doneThisTurn += piece.size;
      piece.run();
    }
    if (this.#isTurnSet || this.#doneThisTurn === 0) return;
    this.#isTurnSet = true;
    setImmediate(() => {
      this.#isTurnSet = false;
      this.#doneThisTurn = 0;
      this.#work();
    });
  }
}
