/** How statements and transactions look in a trace (OpenTelemetry semantic conventions for databases, 1.38). */

import type { SpanSpec } from "#src/kernel/trace";

export const TRANSACTION_SPAN: SpanSpec = { name: "transaction", kind: "internal", attributes: { "db.system.name": "postgresql" } };

const specs = new Map<string, SpanSpec>();

/** The span of a statement. Its text is the service's own, so that names are few; its values are not looked at. */
export function statementSpan(statement: { readonly text: string }): SpanSpec {
  let spec = specs.get(statement.text);
  if (spec === undefined) {
    const summary = querySummary(statement.text);
    spec = { name: summary, kind: "client", attributes: { "db.system.name": "postgresql", "db.query.summary": summary } };
    specs.set(statement.text, spec);
  }
  return spec;
}

/** What is done to which tables, e.g. `INSERT follows SELECT users blocks`. Up to 120 characters. */
export function querySummary(text: string): string {
  const bare = text.replaceAll(/--[^\n]*|'(?:[^']|'')*'/g, " ");
  const uses = new Map(tablesIn(bare).map((use) => [`${use.verb} ${use.table}`, use]));
  let last = "";
  const words = [...uses.values()].map(({ verb, table }) => {
    const word = verb === last ? table : `${verb} ${table}`;
    last = verb;
    return word;
  });
  return words.length === 0 ? (/\w+/.exec(bare)?.[0] ?? "statement").toUpperCase() : words.join(" ").slice(0, 120);
}

function tablesIn(bare: string): { readonly verb: string; readonly table: string }[] {
  const named = new Set(Array.from(bare.matchAll(COMMON_TABLE), (found) => found[1]));
  return Array.from(bare.matchAll(TABLE), ([, words = "", table = "", bracket]) => {
    const verb = VERBS[words.slice(0, 4).toLowerCase()] ?? "SELECT";
    // A function is no table: `from least(…)`, `join lateral f(…)`.
    const isTable = !named.has(table) && !NO_TABLES.has(table.toLowerCase()) && (bracket === "" || verb !== "SELECT");
    return isTable ? [{ verb, table }] : [];
  }).flat();
}

/** A name of a `with` clause. */
const COMMON_TABLE = /(?:\bwith(?:\s+recursive)?|,)\s+(\w+)(?:\s*\([^()]*\))?\s+as\s+(?:not\s+materialized|materialized)?\s*\(/gi;
/** Where a table is named. */
const TABLE = /\b(insert\s+into|update|delete\s+from|from|join)\s+(?:only\s+|lateral\s+)?([a-z_][\w.]*)(\(?)/gi;
const VERBS: Readonly<Record<string, string>> = { inse: "INSERT", upda: "UPDATE", dele: "DELETE" };
/** What else follows those words: `do update set`, `for update of`, `update skip locked`. */
const NO_TABLES = new Set(["set", "of", "skip", "nowait", "select", "lateral"]);
