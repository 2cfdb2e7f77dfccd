/** Small tools of the AsyncAPI document. */

import { z } from "zod";

export type Json = Readonly<Record<string, unknown>>;

/** AsyncAPI's own schemas are a superset of JSON Schema draft 7. */
export function jsonSchema(schema: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { target: "draft-7", io, unrepresentable: "any" });
  return rest;
}

/** An object of one entry an item. */
export function record<Item>(items: readonly Item[], entry: (item: Item) => readonly [string, unknown]): Json {
  return Object.fromEntries(items.map(entry));
}
