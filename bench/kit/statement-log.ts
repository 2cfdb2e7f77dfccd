/** How many statements the service sends for something, as PostgreSQL logs them. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { delay } from "#src/kernel/clock";
import type { Bench, Database } from "./bench.ts";
import { asAdmin } from "./ground.ts";

/** Statements of the service have names (`sql.ts`); what a relay sends again and again has none. */
const NAMED = /execute s[\w-]{24}/g;
/** What an API sends by itself, for presence and the like, is seen while nobody asks; what it sends rarely is not in each try. */
const IDLE_MS = 3_000;
const TRIES = 5;

type SentBy = (work: () => Promise<unknown>) => Promise<number>;

/** Starts an API whose statements are logged, and gives `work` its port and what counts them. The API ends with it. */
export async function withStatementLog<Result>(
  bench: Bench,
  database: Database,
  work: (sentBy: SentBy, port: number) => Promise<Result>,
): Promise<Result> {
  const name = new URL(database.url).pathname.slice(1);
  await asAdmin(bench.postgres, `alter database ${name} set log_statement = 'all'`);
  const api = await bench.api(database);
  // Connections that are there keep what was said when they were opened.
  await asAdmin(bench.postgres, `alter database ${name} reset log_statement`);
  const file = join(bench.folder, "postgres", "postgres", "log");
  const logged = async (): Promise<readonly string[]> => (await readFile(file, "utf8")).match(NAMED) ?? [];
  try {
    const first = (await logged()).length;
    await delay(IDLE_MS);
    const own = new Set((await logged()).slice(first));
    return await work(async (asked) => {
      const tries: Readonly<Record<string, number>>[] = [];
      while (tries.length < TRIES) {
        const before = (await logged()).length;
        await asked();
        tries.push(countsOf((await logged()).slice(before).filter((statement) => !own.has(statement))));
      }
      const least = (statement: string): number => Math.min(...tries.map((counts) => counts[statement] ?? 0));
      return Object.keys(tries[0] ?? {}).reduce((sum, statement) => sum + least(statement), 0);
    }, api.port);
  } finally {
    await api.program[Symbol.asyncDispose]();
  }
}

function countsOf(statements: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const statement of statements) counts[statement] = (counts[statement] ?? 0) + 1;
  return counts;
}
