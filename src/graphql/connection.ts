/** Lists as Relay's connections (https://relay.dev/graphql/connections.htm), forwards only. `PageInfo` is in the kit's SDL. */

import { z } from "zod";
import type { PlacedPage } from "#src/kernel/page";

/** The `first` of a connection that was asked for without one: as REST's `limit`, and what the cost limit counts with. */
const DEFAULT_FIRST = 20;
const MOST_FIRST = 100;

/** The arguments of every connection. */
export const connectionShape = {
  first: z
    .number()
    .int()
    .min(1, `1 to ${MOST_FIRST}`)
    .max(MOST_FIRST, `1 to ${MOST_FIRST}`)
    .nullish()
    .transform((first) => first ?? DEFAULT_FIRST),
  after: z
    .string()
    .min(1)
    .max(512)
    .nullish()
    .transform((after) => after ?? undefined),
};
export const connectionArguments = z.strictObject(connectionShape);

/** A connection as its resolvers give it. */
export interface Connection<Edge> {
  readonly edges: readonly (Edge & { readonly cursor: string })[];
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: false;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
  /** Null where it is not told. */
  readonly totalCount: number | null;
}

/** A page as a connection. @param edgeOf its node, and what is true of it in this list only */
export function connectionOf<T, Edge extends { readonly node: unknown }>(
  { data, cursors, pagination }: PlacedPage<T>,
  edgeOf: (item: T) => Edge,
): Connection<Edge> {
  return {
    edges: data.map((item, index) => ({ ...edgeOf(item), cursor: cursors[index] ?? "" })),
    pageInfo: {
      hasNextPage: pagination.nextCursor !== null,
      hasPreviousPage: false,
      startCursor: cursors[0] ?? null,
      // Behind the last one found, also where that one was not shown.
      endCursor: pagination.nextCursor ?? cursors.at(-1) ?? null,
    },
    totalCount: pagination.total ?? null,
  };
}
