/** The statements that a use case of the service sends, recorded while it runs once, so that a floor can send the same for others. */

import pg from "pg";

/** A value of a statement: one that stands for what is put there, a list of such, or always the same. */
export type RecordedValue =
  | { readonly name: string }
  | { readonly list: readonly RecordedValue[] }
  | { readonly constant: string | number | boolean | null };

export interface RecordedStatement {
  readonly text: string;
  readonly values: readonly RecordedValue[];
  /** Rows that it found or touched, and must again. */
  readonly rowCount: number;
}

interface Sent {
  readonly text: string;
  readonly values: readonly unknown[];
  rowCount: number;
}

/**
 * Runs `work` and gives what it sent, without what begins and ends transactions. Nobody else may use pg meanwhile.
 * @param namesOf what each value of this run is called, told once the run has made them
 */
export async function recorded<Result>(
  work: () => Promise<Result>,
  namesOf: (result: Result) => Readonly<Record<string, string>>,
): Promise<readonly RecordedStatement[]> {
  const sent: Sent[] = [];
  // oxlint-disable-next-line typescript/unbound-method -- put back where it was, and called on the client that it was called on
  const { query } = pg.Client.prototype;
  const original = query as unknown as (this: pg.Client, ...parameters: readonly unknown[]) => unknown;
  const note = function (this: pg.Client, ...parameters: readonly unknown[]): unknown {
    const [statement] = parameters as [string | { name?: string; text: string; values?: readonly unknown[] }];
    if (typeof statement === "string" || statement.name === undefined) return original.call(this, ...parameters);
    const one: Sent = { text: statement.text, values: statement.values ?? [], rowCount: 0 };
    sent.push(one);
    const count = (result: pg.QueryResult | undefined): void => void (one.rowCount = result?.rowCount ?? 0);
    // A pool asks with a callback, a transaction with a promise.
    const callback = parameters.at(-1);
    if (typeof callback !== "function") {
      return (original.call(this, ...parameters) as Promise<pg.QueryResult>).then((result) => {
        count(result);
        return result;
      });
    }
    const counting = (error: unknown, result: pg.QueryResult | undefined): void => {
      count(result);
      callback(error, result);
    };
    return original.call(this, ...parameters.slice(0, -1), counting);
  };
  pg.Client.prototype.query = note as unknown as typeof query;
  let result: Result;
  try {
    result = await work();
  } finally {
    pg.Client.prototype.query = query;
  }
  const names = new Map(Object.entries(namesOf(result)).map(([name, value]) => [value, name]));
  return sent.map(({ text, values, rowCount }) => ({ text, values: values.map((value) => named(value, names)), rowCount }));
}

function named(value: unknown, names: ReadonlyMap<string, string>): RecordedValue {
  if (Array.isArray(value)) return { list: value.map((one) => named(one, names)) };
  const plain = (Buffer.isBuffer(value) ? hexOf(value) : value) as string | number | boolean | null;
  const name = names.get(String(plain));
  return name === undefined ? { constant: plain } : { name };
}

/** A value with names replaced. @throws Error when nothing stands for one */
export function replayed(value: RecordedValue, names: Readonly<Record<string, string>>): unknown {
  if ("list" in value) return value.list.map((one) => replayed(one, names));
  if ("constant" in value) return value.constant;
  const given = names[value.name];
  if (given === undefined) throw new Error(`nothing stands for ${value.name}`);
  return given;
}

/** A bytea as PostgreSQL takes it in text. */
export function hexOf(bytes: Buffer): string {
  return `\\x${bytes.toString("hex")}`;
}
