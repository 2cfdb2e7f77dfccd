/** What an operation would cost, by the lengths of the lists it asks for. Runs after validation and before execution. */

import {
  getNamedType,
  getNullableType,
  isCompositeType,
  isInputObjectType,
  isInterfaceType,
  isListType,
  isObjectType,
  Kind,
  valueFromASTUntyped,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from "graphql";

/** Objects an operation may make the service produce. */
export const COST_LIMIT = 1_000;

type Variables = Readonly<Record<string, unknown>>;

/** Arguments, or members of an input object, that say how long a list is. */
const SIZE_NAMES = new Set(["limit", "first", "last"]);
/** Arguments that are lists themselves, of which each entry is answered by one. */
const COUNTED_NAMES = new Set(["representations", "ids"]);
const DEFAULT_PAGE = 20;
const LARGEST_PAGE = 100;
/** A list whose length nobody asked for. */
const UNSIZED_LIST = 10;

interface Walk {
  readonly schema: GraphQLSchema;
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  readonly variables: Variables;
}

/**
 * The objects this operation may produce: each field of an object type counts one, times the lengths of the lists
 * around it. Introspection and leaves count nothing. The document must be valid.
 */
export function costOf(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, variables: Variables): number {
  const root = schema.getRootType(operation.operation);
  if (root === undefined || root === null) return 0;
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions)
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  return setCost({ schema, fragments, variables: { ...defaultsOf(operation), ...variables } }, operation.selectionSet, root, false);
}

function defaultsOf(operation: OperationDefinitionNode): Variables {
  const withDefault = (operation.variableDefinitions ?? []).filter((variable) => variable.defaultValue !== undefined);
  return Object.fromEntries(
    withDefault.map(({ variable, defaultValue }) => [
      variable.name.value,
      defaultValue === undefined ? undefined : valueFromASTUntyped(defaultValue),
    ]),
  );
}

/** @param isSized whether the list in this set has been counted already, by the size of its page */
function setCost(walk: Walk, set: SelectionSetNode, type: GraphQLCompositeType, isSized: boolean): number {
  let cost = 0;
  for (const selection of set.selections) {
    if (selection.kind === Kind.FIELD) {
      cost += fieldCost(walk, selection, type, isSized);
      continue;
    }
    const fragment = selection.kind === Kind.FRAGMENT_SPREAD ? walk.fragments.get(selection.name.value) : selection;
    if (fragment === undefined) continue;
    const on = fragment.typeCondition === undefined ? type : walk.schema.getType(fragment.typeCondition.name.value);
    if (isCompositeType(on)) cost += setCost(walk, fragment.selectionSet, on, isSized);
  }
  return cost;
}

function fieldCost(walk: Walk, node: FieldNode, parent: GraphQLCompositeType, isSized: boolean): number {
  const field = isObjectType(parent) || isInterfaceType(parent) ? parent.getFields()[node.name.value] : undefined;
  const type = field === undefined ? undefined : getNamedType(field.type);
  if (field === undefined || !isCompositeType(type) || node.selectionSet === undefined) return 0;
  const size = sizeOf(field, node, walk.variables);
  const isList = isListType(getNullableType(field.type));
  const times = size ?? (isList && !isSized ? UNSIZED_LIST : 1);
  // The size of a page is that of the list in it; that of a list says nothing of the lists in its entries.
  return times * (1 + setCost(walk, node.selectionSet, type, size !== undefined && !isList));
}

/** The length asked for by this field's arguments; undefined when it has none that say it. */
function sizeOf(field: GraphQLField<unknown, unknown>, node: FieldNode, variables: Variables): number | undefined {
  const sizing = field.args.filter((argument) => {
    const type = getNamedType(argument.type);
    if (SIZE_NAMES.has(argument.name) || COUNTED_NAMES.has(argument.name)) return true;
    return isInputObjectType(type) && Object.keys(type.getFields()).some((name) => SIZE_NAMES.has(name));
  });
  if (sizing.length === 0) return undefined;
  const given = (node.arguments ?? []).filter((argument) => sizing.some(({ name }) => name === argument.name.value));
  const sizes = given.flatMap((argument) => numbersIn(argument.name.value, valueFromASTUntyped(argument.value, variables)));
  return sizes.length === 0 ? DEFAULT_PAGE : Math.max(1, ...sizes);
}

function numbersIn(name: string, value: unknown): number[] {
  // One that is no list is taken for a list of one.
  if (COUNTED_NAMES.has(name)) return [Array.isArray(value) ? value.length : 1];
  if (SIZE_NAMES.has(name)) return value === undefined || value === null ? [] : [typeof value === "number" ? value : LARGEST_PAGE];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => (SIZE_NAMES.has(key) ? numbersIn(key, inner) : []));
}
