/**
 * What a document may look like, found out on its syntax alone. Runs before validation: the rule for overlapping fields
 * is quadratic (graphql CVE-2023-26144), so validation must never see a big document.
 */

import {
  BREAK,
  GraphQLError,
  Kind,
  parse,
  visit,
  type DocumentNode,
  type FragmentDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
} from "graphql";
import { inputInvalid, Problem } from "#src/kernel/problem";
import { isCleanText } from "#src/kernel/unsafe-text";
import { documentTooLong, syntaxError, tooDeep, tooManyAliases, tooManyFields, tooManyTokens } from "./graphql.errors.ts";

/** Characters, tokens, and counts after fragments have been put in where they are spread. */
export const LIMITS = { characters: 10_000, tokens: 1_000, depth: 8, aliases: 15, rootFields: 15, fields: 300 } as const;

/** Characters of documents kept in each memory of them, and what one takes whose text is short. An AST takes about 40 bytes for each character. */
export const STORED_CHARACTERS = 400_000;
const LEAST_STORED = 100;

/** What a document counts for in such a memory. Thousands of tiny ones would else take much more than their characters say. */
export function storedSize(text: string): number {
  return text.length + LEAST_STORED;
}

/** The standard introspection query goes this much deeper than people's queries need to. */
const INTROSPECTION_DEPTH = 8;

/**
 * Parses a document, unless it is too big to be looked at further. Safe for circular fragments and for fragments that
 * double at each step: each is measured once.
 * @throws Problem `graphql.document_too_long`, `graphql.too_many_tokens`, `graphql.syntax_error`, `graphql.too_deep`,
 *   `graphql.too_many_aliases`, `graphql.too_many_fields`, `input.invalid` for text that PostgreSQL cannot keep
 */
export function parseWithinLimits(text: string): DocumentNode {
  if (text.length > LIMITS.characters) throw new Problem(documentTooLong);
  const document = parseTokens(text);
  const measure = measurer(document);
  // Fragments that nothing spreads are validated too, so they are measured like operations.
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION && definition.kind !== Kind.FRAGMENT_DEFINITION) continue;
    const size = measure(definition.selectionSet);
    const isIntrospection = definition.kind === Kind.FRAGMENT_DEFINITION && definition.typeCondition.name.value.startsWith("__");
    refuse(isIntrospection ? { ...size, depth: size.depth - INTROSPECTION_DEPTH } : size);
    if (definition.kind === Kind.OPERATION_DEFINITION && size.width > LIMITS.rootFields) throw new Problem(tooManyFields);
  }
  refuseUncleanText(document);
  return document;
}

/** An escape like \u0000 is harmless in the document and NUL in the value. */
function refuseUncleanText(document: DocumentNode): void {
  let isClean = true;
  visit(document, {
    StringValue: ({ value }) => {
      isClean &&= isCleanText(value);
      return isClean ? undefined : BREAK;
    },
  });
  if (!isClean) throw new Problem(inputInvalid, { errors: [{ path: "query", message: "must not hold NUL or lone surrogates" }] });
}

function parseTokens(text: string): DocumentNode {
  try {
    return parse(text, { maxTokens: LIMITS.tokens });
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error;
    if (error.message.endsWith("tokens. Parsing aborted.")) throw new Problem(tooManyTokens);
    const [place] = error.locations ?? [];
    throw new Problem(syntaxError, place === undefined ? {} : { extensions: { line: place.line, column: place.column } });
  }
}

interface Size {
  readonly depth: number;
  /** Fields of the set itself. */
  readonly width: number;
  /** Fields of the set and all below it. */
  readonly fields: number;
  readonly aliases: number;
}

const NOTHING: Size = { depth: 0, width: 0, fields: 0, aliases: 0 };

function refuse(size: Size): void {
  if (size.depth > LIMITS.depth) throw new Problem(tooDeep);
  if (size.aliases > LIMITS.aliases) throw new Problem(tooManyAliases);
  if (size.fields > LIMITS.fields) throw new Problem(tooManyFields);
}

function measurer(document: DocumentNode): (set: SelectionSetNode) => Size {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions)
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  const measured = new Map<string, Size>();

  const fragmentSize = (name: string): Size => {
    const known = measured.get(name);
    if (known !== undefined) return known;
    // A circle ends here; validation, which comes after, refuses it.
    measured.set(name, NOTHING);
    const fragment = fragments.get(name);
    const size = fragment === undefined ? NOTHING : setSize(fragment.selectionSet);
    measured.set(name, size);
    return size;
  };
  const selectionSize = (selection: SelectionNode): Size => {
    if (selection.kind === Kind.FRAGMENT_SPREAD) return fragmentSize(selection.name.value);
    if (selection.kind === Kind.INLINE_FRAGMENT) return setSize(selection.selectionSet);
    const below = selection.selectionSet === undefined ? NOTHING : setSize(selection.selectionSet);
    const aliases = below.aliases + (selection.alias === undefined ? 0 : 1);
    const isIntrospection = selection.name.value === "__schema" || selection.name.value === "__type";
    if (isIntrospection) return { depth: 1 + Math.max(0, below.depth - INTROSPECTION_DEPTH), width: 1, fields: 1, aliases };
    return { depth: 1 + below.depth, width: 1, fields: 1 + below.fields, aliases };
  };
  const setSize = (set: SelectionSetNode): Size => set.selections.map(selectionSize).reduce(together, NOTHING);
  return setSize;
}

function together(one: Size, other: Size): Size {
  return {
    depth: Math.max(one.depth, other.depth),
    width: one.width + other.width,
    fields: one.fields + other.fields,
    aliases: one.aliases + other.aliases,
  };
}
