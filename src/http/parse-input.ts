/** Parses params, query and body by the route's schemas and tells every problem at once, each with its path. */

import { z } from "zod";
import { Problem, inputInvalid, type InputError } from "#src/kernel/problem";
import { nearestName } from "./did-you-mean.ts";

/** Where an input came from; the first part of each path. */
type Place = "params" | "query" | "body";

/** How many problems are listed at most. */
const MAX_ERRORS = 50;
/** Longer paths are cut: they repeat the caller's own keys. */
const MAX_PATH_LENGTH = 120;

/** An input and the schema it must meet. A place without schema takes no field at all. */
export interface Input {
  readonly place: Place;
  readonly schema: z.ZodType | undefined;
  readonly given: unknown;
}

const nothing = z.strictObject({});

/** The parsed values by their place. */
export type Parsed = Readonly<Partial<Record<Place, unknown>>>;

/**
 * Parses all inputs before anything is refused.
 * @throws Problem `input.invalid` with the problems of all of them
 */
export function parseInputs(inputs: readonly Input[]): Parsed {
  const values: Partial<Record<Place, unknown>> = {};
  const errors: InputError[] = [];
  for (const { place, schema = nothing, given } of inputs) {
    const result = schema.safeParse(given);
    if (result.success) values[place] = result.data;
    else for (const issue of result.error.issues) errors.push(...toInputErrors(place, issue, schema));
  }
  if (errors.length > 0) throw new Problem(inputInvalid, { errors: errors.slice(0, MAX_ERRORS) });
  return values;
}

function toInputErrors(place: Place, issue: z.core.$ZodIssue, schema: z.ZodType): InputError[] {
  if (issue.code === "unrecognized_keys") {
    const known = fieldNames(schemaAt(schema, issue.path));
    return issue.keys
      .slice(0, MAX_ERRORS)
      .map((key) => ({ path: pathText(place, [...issue.path, key]), message: unknownField(place, key, known) }));
  }
  const missing = issue.code === "invalid_type" && issue.message.endsWith("received undefined");
  return [{ path: pathText(place, issue.path), message: missing ? "is required" : issue.message }];
}

function unknownField(place: Place, key: string, known: readonly string[]): string {
  if (place === "query" && /^(access_?)?token$/i.test(key))
    return "unknown field; a token goes into the Authorization header, never into the address";
  const near = nearestName(key, known);
  if (near !== undefined) return `unknown field; did you mean ${near}?`;
  return known.length === 0 ? "unknown field; none is taken here" : `unknown field; known are ${known.join(", ")}`;
}

function pathText(place: Place, path: readonly PropertyKey[]): string {
  const text = path.reduce<string>(
    (before, part) => (typeof part === "number" ? `${before}[${part}]` : `${before}.${String(part)}`),
    place,
  );
  return text.slice(0, MAX_PATH_LENGTH);
}

/** The object schema an issue is about: follows fields, elements, and what merely wraps. */
function schemaAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): z.core.$ZodType | undefined {
  let current: z.core.$ZodType | undefined = unwrapped(schema);
  for (const part of path) {
    if (current instanceof z.core.$ZodObject) current = current._zod.def.shape[String(part)];
    else if (current instanceof z.core.$ZodArray) current = current._zod.def.element;
    else return undefined;
    current = current === undefined ? undefined : unwrapped(current);
  }
  return current;
}

function unwrapped(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.core.$ZodOptional || schema instanceof z.core.$ZodNullable || schema instanceof z.core.$ZodDefault) {
    return unwrapped(schema._zod.def.innerType);
  }
  return schema instanceof z.core.$ZodPipe ? unwrapped(schema._zod.def.in) : schema;
}

function fieldNames(schema: z.core.$ZodType | undefined): string[] {
  return schema instanceof z.core.$ZodObject ? Object.keys(schema._zod.def.shape) : [];
}
