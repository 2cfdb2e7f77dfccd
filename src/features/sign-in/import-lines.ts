/** Lines of a file, one at a time and bounded, whatever is in it. */

/** One line, without its end. */
export interface Line {
  /** Of the file, from 1. */
  readonly number: number;
  /** Undefined for a line that is too long to be kept. */
  readonly bytes: Buffer | undefined;
}

const LF = 0x0a;
const CR = 0x0d;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

/** A longer line is no user; it is passed over without being kept, in bytes. */
export const MOST_LINE_BYTES = 64 * 1024;

/** Splits at line feeds, drops a carriage return before one and a byte order mark before all. Holds one line and one chunk. */
export async function* readLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<Line> {
  const kept = new KeptLine();
  let number = 1;
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, from)) {
      kept.add(chunk.subarray(from, end));
      yield { number, bytes: kept.take(number === 1) };
      number += 1;
      from = end + 1;
    }
    kept.add(chunk.subarray(from));
  }
  if (!kept.isEmpty()) yield { number, bytes: kept.take(number === 1) };
}

/** What has come of the current line. Past the limit only its length is known. */
class KeptLine {
  #parts: Buffer[] = [];
  #bytes = 0;

  isEmpty(): boolean {
    return this.#bytes === 0;
  }

  add(part: Buffer): void {
    this.#bytes += part.length;
    if (this.#bytes > MOST_LINE_BYTES) this.#parts = [];
    else if (part.length > 0) this.#parts.push(part);
  }

  take(first: boolean): Buffer | undefined {
    const whole = this.#bytes > MOST_LINE_BYTES ? undefined : Buffer.concat(this.#parts);
    [this.#parts, this.#bytes] = [[], 0];
    if (whole === undefined) return undefined;
    const from = first && whole.subarray(0, BOM.length).equals(BOM) ? BOM.length : 0;
    return whole.subarray(from, whole.at(-1) === CR ? -1 : undefined);
  }
}
