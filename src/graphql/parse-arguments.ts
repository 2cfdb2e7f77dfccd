/** Holds a field's arguments to the same zod rules as REST. */

import type { z } from "zod";
import { inputInvalid, Problem } from "#src/kernel/problem";

/**
 * The arguments as the schema makes them.
 * @throws Problem `input.invalid` with every problem, its path beginning with `arguments`
 */
export function parseArguments<Schema extends z.ZodType>(schema: Schema, given: unknown): z.infer<Schema> {
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const errors = result.error.issues.map((issue) => ({ path: ["arguments", ...issue.path].map(String).join("."), message: issue.message }));
  throw new Problem(inputInvalid, { errors });
}
