/** Keyset pages: a list is `{data, pagination}`, and a cursor is opaque to the caller. */

import { Problem, inputInvalid } from "./problem.ts";

/** Where the next page begins, and the total where it is known. */
export interface Pagination {
  readonly nextCursor: string | null;
  readonly total?: number;
  /** False when `total` is the bound up to which was counted. */
  readonly totalIsExact?: boolean;
  readonly pages?: number;
}

export interface Page<T> {
  readonly data: readonly T[];
  readonly pagination: Pagination;
}

/** A page whose items each have a cursor, one for one with `data`: what begins behind it is the rest of the list. */
export interface PlacedPage<T> extends Page<T> {
  readonly cursors: readonly string[];
}

/** The page as REST shows it. */
export function plainPage<T>({ data, pagination }: PlacedPage<T>): Page<T> {
  return { data, pagination };
}

/** What was found as a page of at most `limit`. @param found one more than that where the list goes on */
export function cutPage<Row>(found: readonly Row[], limit: number, cursorOf: (row: Row) => string): PlacedPage<Row> {
  const data = found.slice(0, limit);
  const cursors = data.map(cursorOf);
  return { data, cursors, pagination: { nextCursor: found.length > limit ? (cursors.at(-1) ?? null) : null } };
}

/** The page with something else in place of each row. What is undefined is left out; where the next page begins stays. */
export function mapPage<Row, T>(page: PlacedPage<Row>, to: (row: Row) => T | undefined): PlacedPage<T> {
  const kept = page.data.flatMap((row, index) => {
    const item = to(row);
    return item === undefined ? [] : [{ item, cursor: page.cursors[index] ?? "" }];
  });
  return { data: kept.map(({ item }) => item), cursors: kept.map(({ cursor }) => cursor), pagination: page.pagination };
}

/** Packs the sort key of the last row shown. `list` names the list, so that a cursor of another one is refused. */
export function encodeCursor(list: string, key: readonly string[]): string {
  return Buffer.from(JSON.stringify([list, ...key])).toString("base64url");
}

/**
 * Unpacks a cursor of this list into its `length` parts.
 * @throws Problem `input.invalid` when it is forged, damaged or of another list
 */
export function decodeCursor(list: string, cursor: string, length: number): string[] {
  const parts = parseCursor(cursor);
  if (parts === undefined || parts.length !== length + 1 || parts[0] !== list) {
    throw new Problem(inputInvalid, { errors: [{ path: "query.cursor", message: "not a cursor of this list; begin again without one" }] });
  }
  return parts.slice(1);
}

function parseCursor(cursor: string): string[] | undefined {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
    if (Array.isArray(parsed) && parsed.every((part): part is string => typeof part === "string" && !part.includes("\0"))) return parsed;
    return undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
