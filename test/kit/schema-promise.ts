/** The schema of GraphQL as it was promised, in `docs/schema.graphql`, against the schema that there is. */

import { buildSchema, findBreakingChanges, Kind, parse } from "graphql";

/** Whoever updates documents says with these what else they mean. */
export interface Updating {
  readonly docs: boolean;
  /** Breaking what was promised is meant. */
  readonly breaking: boolean;
}

/** Thrown instead of writing over promises that would not be kept. */
export class PromiseBroken extends Error {
  readonly changes: readonly string[];

  constructor(changes: readonly string[]) {
    super(`clients of GraphQL would break; UPDATE_SCHEMA_BREAKING=1 beside UPDATE_DOCS=1 if that is meant:\n${changes.join("\n")}`);
    this.name = "PromiseBroken";
    this.changes = changes;
  }
}

/** What of `promised` does not hold in `present`, in words; both as `subgraphSdl` writes them. Keys are promises to gateways. */
export function brokenPromises(promised: string, present: string): readonly string[] {
  // The directives of Federation are not defined in the text.
  const [before, now] = [promised, present].map((text) => buildSchema(text, { assumeValidSDL: true }));
  if (before === undefined || now === undefined) return [];
  const keys = new Set(keysIn(present));
  const lost = keysIn(promised).filter((key) => !keys.has(key));
  return [...findBreakingChanges(before, now).map(({ description }) => description), ...lost.map((key) => `${key} is a key no more.`)];
}

/**
 * The text to keep: what is there or, when documents are being updated, the present one.
 * @param promised undefined where nothing has been promised yet
 * @throws PromiseBroken when the present schema breaks a promise and nobody said that this is meant
 */
export function schemaToKeep(promised: string | undefined, present: string, updating: Updating): string {
  const broken = promised === undefined || (updating.docs && updating.breaking) ? [] : brokenPromises(promised, present);
  if (broken.length > 0) throw new PromiseBroken(broken);
  return updating.docs || promised === undefined ? present : promised;
}

function keysIn(text: string): readonly string[] {
  return parse(text).definitions.flatMap((definition) => {
    if (definition.kind !== Kind.OBJECT_TYPE_DEFINITION) return [];
    const keys = (definition.directives ?? []).filter(({ name }) => name.value === "key");
    return keys.map(({ arguments: given }) => {
      const fields = given?.find(({ name }) => name.value === "fields")?.value;
      return `${definition.name.value} by ${fields?.kind === Kind.STRING ? JSON.stringify(fields.value) : "nothing"}`;
    });
  });
}
