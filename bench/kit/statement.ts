/** The service's own statements, taken from its code so that a floor always runs the same text. */

import pg from "pg";
import { closeDb, openDb, type Db } from "#src/db/pool";
import { silentLog } from "#src/kernel/log";

/** A statement whose values are names that stand for what is put there; a list of one name is that name. */
export interface Statement {
  readonly text: string;
  readonly values: readonly (string | null)[];
}

/** Runs `work`, which calls one function of a `*.sql.ts` with names as values, and gives the statement it sent. Needs no database. */
export async function statementOf(work: (db: Db) => Promise<unknown>): Promise<Statement> {
  const sent: Statement[] = [];
  // oxlint-disable-next-line typescript/unbound-method -- put back where it was, not called
  const { query } = pg.Pool.prototype;
  const note = (statement: { readonly text: string; readonly values: readonly (string | Buffer | null)[] }): Promise<object> => {
    sent.push({ text: statement.text, values: statement.values.map((value) => (value === null ? null : String(value))) });
    return Promise.resolve({ rows: [], rowCount: 0 });
  };
  const db = openDb({ url: "postgres://127.0.0.1:1/none", maxConnections: 1, applicationName: "bench", log: silentLog });
  pg.Pool.prototype.query = note as unknown as typeof query;
  try {
    await work(db);
  } finally {
    pg.Pool.prototype.query = query;
    await closeDb(db);
  }
  const [statement] = sent;
  if (statement === undefined || sent.length > 1) throw new Error(`one statement was expected, ${sent.length} were sent`);
  return statement;
}

/** The values with names replaced. A name that is not known is an error of the bench. */
export function filled(statement: Statement, names: Readonly<Record<string, string>>): (string | null)[] {
  return statement.values.map((name) => {
    if (name === null) return null;
    const value = names[name];
    if (value === undefined) throw new Error(`nothing stands for ${name}`);
    return value;
  });
}
