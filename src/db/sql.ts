/** SQL text as a tagged template, run on a pool or in a transaction by raw pg: named, prepared, without knex's cost. */

import { createHash } from "node:crypto";
import type pg from "pg";
import { currentSpan, inSpan } from "#src/kernel/trace";
import type { Db } from "./pool.ts";
import { poolOf, refuseWhenCrowded } from "./pool.ts";
import { asProblem } from "./errors.ts";
import { statementSpan } from "./statement-span.ts";
import { connectionOf, type Tx } from "./tx.ts";

/** A statement with its values. The name is derived from the text, so PostgreSQL prepares it once a connection. */
export interface Sql {
  readonly text: string;
  readonly values: readonly unknown[];
  readonly name: string;
}

const shapes = new WeakMap<TemplateStringsArray, { text: string; name: string }>();

/**
 * sql`select … where id = ${id}`: each `${…}` becomes a bound parameter, never text. Compose by CTE or by functions in
 * the database, not by gluing: a statement whose text varies would be prepared again and again.
 */
export function sql(strings: TemplateStringsArray, ...values: readonly unknown[]): Sql {
  let shape = shapes.get(strings);
  if (shape === undefined) {
    const text = strings.reduce((whole, part, index) => (index === 0 ? part : `${whole}$${index}${part}`), "");
    shape = { text, name: `s${createHash("sha256").update(text).digest("base64url").slice(0, 24)}` };
    shapes.set(strings, shape);
  }
  return { text: shape.text, values, name: shape.name };
}

/** Runs a statement and gives its rows. @throws Problem `service.busy` when the database cannot answer */
export async function rows<Row extends object>(on: Db | Tx, statement: Sql): Promise<Row[]> {
  return (await run<Row>(on, statement)).rows;
}

/** Runs a statement that finds at most one row. */
export async function row<Row extends object>(on: Db | Tx, statement: Sql): Promise<Row | undefined> {
  return (await run<Row>(on, statement)).rows[0];
}

/** Runs a statement for its effect and tells how many rows it touched. */
export async function affected(on: Db | Tx, statement: Sql): Promise<number> {
  return (await run(on, statement)).rowCount ?? 0;
}

/** Every statement of the service but the revocation feed's passes here. */
function run<Row extends object>(on: Db | Tx, statement: Sql): Promise<pg.QueryResult<Row>> {
  if (currentSpan() === undefined) return execute<Row>(on, statement);
  return inSpan(statementSpan(statement), () => execute<Row>(on, statement));
}

async function execute<Row extends object>(on: Db | Tx, statement: Sql): Promise<pg.QueryResult<Row>> {
  const query = statement as unknown as pg.QueryConfig;
  const client = connectionOf(on);
  // In a transaction the raw error is wanted: inTx decides whether to repeat.
  if (client !== undefined) return await client.query<Row>(query);
  const db = on as Db;
  refuseWhenCrowded(db);
  const { pool, onQuery } = poolOf(db);
  const startedMs = performance.now(); // allow: a duration for metrics only, #5
  let failed = true;
  try {
    const result = await pool.query<Row>(query);
    failed = false;
    return result;
  } catch (error) {
    throw asProblem(error);
  } finally {
    onQuery?.(performance.now() - startedMs, failed);
  }
}
