/** What PostgreSQL does for statements that were recorded: as it plans them anew, and by the plan that it keeps. */

import type pg from "pg";
import type { RecordedStatement, RecordedValue } from "../../bench/kit/recording.ts";

/** What one node of a plan did, as EXPLAIN tells it. */
interface PlanNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly "Rows Removed by Filter"?: number;
  readonly "Rows Removed by Index Recheck"?: number;
  readonly Plans?: readonly PlanNode[];
}

/** What became of one statement. */
export interface Ran {
  readonly text: string;
  readonly plan: "anew" | "kept";
  /** Tables that were read from end to end, by functions which the plan does not show too. */
  readonly scanned: readonly string[];
  /** The most rows that were put in order at once. */
  readonly sorted: number;
  /** The most rows of one table or index that were looked at in one place of the plan. */
  readonly read: number;
}

/** PostgreSQL plans a prepared statement anew five times before it may keep a plan. */
const KEPT_FROM = 7;

/**
 * Sends the statements in their order, in one transaction that is rolled back, each as often as it takes to see the plan that is kept.
 * @param before said in the same transaction, before them
 */
export async function ranBy(client: pg.Client, statements: readonly RecordedStatement[], before?: string): Promise<Ran[]> {
  const ran: Ran[] = [];
  await client.query("begin");
  try {
    if (before !== undefined) await client.query(before);
    for (const [place, statement] of statements.entries()) {
      ran.push(...(await bothPlans(client, `recorded_${place}`, statement)));
      // What a recorded statement set is for the next one; a machine that is busy is given the time all the same.
      await client.query("set local statement_timeout = 0");
    }
  } finally {
    await client.query("rollback");
    await client.query("deallocate all");
  }
  return ran;
}

async function bothPlans(client: pg.Client, name: string, { text, values }: RecordedStatement): Promise<Ran[]> {
  await client.query(`prepare ${name} as ${text}`);
  const call = values.length === 0 ? name : `${name}(${values.map((value) => literalOf(client, value)).join(", ")})`;
  const anew = await explained(client, call);
  for (let time = 2; time < KEPT_FROM; time += 1) await explained(client, call);
  return [
    { text, plan: "anew", ...anew },
    { text, plan: "kept", ...(await explained(client, call)) },
  ];
}

async function explained(client: pg.Client, call: string): Promise<Omit<Ran, "text" | "plan">> {
  const before = await scansOf(client);
  const { rows } = await client.query<{ "QUERY PLAN": readonly [{ readonly Plan: PlanNode }] }>(
    `explain (analyze, timing off, summary off, buffers off, format json) execute ${call}`,
  );
  const after = await scansOf(client);
  const nodes = nodesOf(rows[0]?.["QUERY PLAN"][0].Plan);
  return {
    scanned: [
      ...new Set([
        ...[...after.keys()].filter((table) => after.get(table) !== before.get(table)),
        // Also where it was not come to this time.
        ...nodes.flatMap((node) => (node["Node Type"] === "Seq Scan" ? (node["Relation Name"] ?? []) : [])),
      ]),
    ],
    sorted: Math.max(0, ...nodes.filter((node) => node["Node Type"].endsWith("Sort")).flatMap(({ Plans = [] }) => Plans.map(rowsOf))),
    read: Math.max(0, ...nodes.filter((node) => node["Relation Name"] !== undefined).map(rowsOf)),
  };
}

/** How often each table was read from end to end in this transaction. */
async function scansOf(client: pg.Client): Promise<ReadonlyMap<string, number>> {
  const { rows } = await client.query<{ relname: string; seq_scan: string }>(
    "select relname, seq_scan from pg_stat_xact_user_tables where seq_scan > 0",
  );
  return new Map(rows.map(({ relname, seq_scan }) => [relname, Number(seq_scan)]));
}

function nodesOf(node: PlanNode | undefined): PlanNode[] {
  return node === undefined ? [] : [node, ...(node.Plans ?? []).flatMap(nodesOf)];
}

/** Rows that a node gave or threw away, all its runs together. */
function rowsOf(node: PlanNode): number {
  const removed = (node["Rows Removed by Filter"] ?? 0) + (node["Rows Removed by Index Recheck"] ?? 0);
  return Math.round((node["Actual Rows"] + removed) * node["Actual Loops"]);
}

/** As pg would bind it. */
function literalOf(client: pg.Client, value: RecordedValue): string {
  if ("list" in value) return client.escapeLiteral(`{${value.list.map((one) => plainOf(one) ?? "null").join(",")}}`);
  const plain = plainOf(value);
  return plain === null ? "null" : client.escapeLiteral(plain);
}

function plainOf(value: RecordedValue): string | null {
  if (!("constant" in value)) throw new Error("a list of lists, or a name in what was recorded without any");
  return value.constant === null ? null : String(value.constant);
}
