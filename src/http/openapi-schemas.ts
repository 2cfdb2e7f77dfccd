/** zod schemas as the JSON Schema of OpenAPI 3.1; schemas with `.meta({ id })` become components. */

import { isDeepStrictEqual } from "node:util";
import { z } from "zod";

/** A JSON Schema (2020-12), as OpenAPI 3.1 takes it. */
export type JsonSchema = { readonly [member: string]: unknown };

/** Collects the components that schemas refer to. */
export class SchemaComponents {
  readonly #components = new Map<string, JsonSchema>();

  /** What was collected so far, by id. */
  get all(): Readonly<Record<string, JsonSchema>> {
    return Object.fromEntries(this.#components);
  }

  /**
   * The schema of what we take (`input`) or give (`output`).
   * @throws Error when an id names two different schemas, or when an answer holds what JSON has not, e.g. a Date
   */
  toJson(schema: z.ZodType, io: "input" | "output"): JsonSchema {
    const made: unknown = z.toJSONSchema(schema, { io, unrepresentable: io === "input" ? "any" : "throw" });
    const { $schema: _dialect, $defs = {}, ...root } = JSON.parse(JSON.stringify(made)) as Record<string, unknown>;
    for (const [id, definition] of Object.entries($defs as Record<string, unknown>))
      this.#keep(id, refersToComponents(definition) as JsonSchema);
    return refersToComponents(root) as JsonSchema;
  }

  #keep(id: string, definition: JsonSchema): void {
    const known = this.#components.get(id);
    if (known !== undefined && !isDeepStrictEqual(known, definition)) {
      throw new Error(`two schemas are named ${id}; what is taken and what is given need names of their own`);
    }
    this.#components.set(id, definition);
  }
}

function refersToComponents(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(refersToComponents);
  if (typeof node !== "object" || node === null) return node;
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => [
      key,
      key === "$ref" && typeof value === "string" ? value.replace(/^#\/\$defs\//, "#/components/schemas/") : refersToComponents(value),
    ]),
  );
}
