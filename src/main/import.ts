/** `npm run import -- users.jsonl`: takes in users of another system, and ends. Exit code: 0 all in, 1 some refused or it failed, 78 bad usage. */

import { createReadStream } from "node:fs";
import { open, realpath, stat, type FileHandle } from "node:fs/promises";
import { parseArgs } from "node:util";
import { ConfigError, readConfig, type Config } from "#src/config/config";
import { environment } from "#src/config/environment";
import { closeDb, openDb } from "#src/db/pool";
import { DatabaseRefused, reachDatabase } from "#src/db/reach";
import { importUsers, type ImportSummary, type Refusal } from "#src/features/sign-in/public";
import { systemClock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { createLog } from "#src/telemetry/log";
import { urlsOf } from "./deps.ts";

const USAGE = `usage: import FILE [--dry-run] [--resume] [--report FILE]
  FILE            users as JSON Lines, one object a line: {"username": …, "email": …, …} (README.md, "Coming from another system")
  --dry-run       checks everything, also against the database, and writes nothing
  --resume        begins by looking who is there already, which is faster after an import that was cut off
  --report FILE   writes everything that was refused to FILE, as JSON Lines
`;

/** More are counted, not shown. */
const MOST_SHOWN = 100;
const PROGRESS_EVERY_LINES = 50_000;
const CHUNK_BYTES = 256 * 1024;
/** One batch of 500, also where the database is busy. */
const STATEMENT_TIMEOUT_MS = 60_000;
const DATABASE_WITHIN_MS = 10_000;

/** Told in one line, with exit code 78. */
class UsageError extends Error {
  override readonly name = "UsageError";
}

interface Arguments {
  readonly file: string;
  readonly dryRun: boolean;
  readonly resume: boolean;
  readonly report: string | undefined;
}

try {
  const given = readArguments(process.argv.slice(2));
  const config = readConfig(environment, "migrate");
  const log = createLog({ level: config.logLevel, fields: { process: "import" }, stream: process.stderr });
  const summary = await run(given, config, log);
  const { lines, made, unchanged, refused } = summary;
  process.stdout.write(
    `import: ${lines} lines, ${made} ${given.dryRun ? "would be made" : "made"}, ${unchanged} unchanged, ${refused} refused\n`,
  );
  process.exitCode = refused > 0 ? 1 : 0;
} catch (error) {
  process.stderr.write(`${wordsOf(error)}\n`);
  process.exitCode = isMisuse(error) ? 78 : 1;
}

function readArguments(given: string[]): Arguments {
  try {
    const { values, positionals } = parseArgs({
      args: given,
      allowPositionals: true,
      options: { "dry-run": { type: "boolean" }, resume: { type: "boolean" }, report: { type: "string" } },
    });
    const [file, ...others] = positionals;
    if (file === undefined || others.length > 0) throw new UsageError("give one file");
    return { file, dryRun: values["dry-run"] ?? false, resume: values.resume ?? false, report: values.report };
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
  }
}

async function run(given: Arguments, config: Config, log: Log): Promise<ImportSummary> {
  await refuseUnreadable(given);
  const { directUrl: url } = urlsOf(config);
  const applicationName = "user-service import";
  await (await reachDatabase({ url, applicationName, withinMs: DATABASE_WITHIN_MS, clock: systemClock, log })).end();
  const db = openDb({ url, maxConnections: 2, applicationName, log, acquireTimeoutMs: 5_000, statementTimeoutMs: STATEMENT_TIMEOUT_MS });
  const report = given.report === undefined ? undefined : await open(given.report, "w", 0o600);
  try {
    return await importUsers(
      { db, clock: systemClock },
      {
        chunks: createReadStream(given.file, { highWaterMark: CHUNK_BYTES }) as AsyncIterable<Buffer>,
        dryRun: given.dryRun,
        resume: given.resume,
        onRefused: tellRefused(report),
        onProgress: ({ lines }) => {
          if (lines % PROGRESS_EVERY_LINES === 0) process.stderr.write(`… ${lines} lines\n`);
        },
      },
    );
  } finally {
    await report?.close();
    await closeDb(db);
  }
}

/** Before anything is opened for writing. @throws UsageError */
async function refuseUnreadable({ file, report }: Arguments): Promise<void> {
  const found = await stat(file).catch(() => undefined);
  if (found === undefined || found.isDirectory()) throw new UsageError(`there is no file ${file}`);
  if (report !== undefined && (await realpath(report).catch(() => "")) === (await realpath(file)))
    throw new UsageError("the report would be written over the file that is to be imported");
}

function tellRefused(report: FileHandle | undefined): (refusals: readonly Refusal[]) => Promise<void> {
  let shown = 0;
  return async (refusals) => {
    for (const { line, field, message } of refusals) {
      if (shown < MOST_SHOWN) process.stderr.write(`line ${line}${field === undefined ? "" : `, ${field}`}: ${message}\n`);
      if (shown === MOST_SHOWN) process.stderr.write("… further ones are counted only; --report FILE writes them all\n");
      shown += 1;
    }
    await report?.appendFile(refusals.map((one) => `${JSON.stringify(one)}\n`).join(""));
  };
}

function wordsOf(error: unknown): string {
  if (isNotMigrated(error)) return "the database lacks tables of this version; apply the migrations first: npm run migrate";
  const message = error instanceof Error ? error.message : String(error);
  return isMisuse(error) ? message : `the import ended early, run it again: ${message}`;
}

/** What another try of the same would not make better. */
function isMisuse(error: unknown): boolean {
  return error instanceof UsageError || error instanceof ConfigError || error instanceof DatabaseRefused || isNotMigrated(error);
}

/** PostgreSQL's codes for a table and a column that are not there. */
function isNotMigrated(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return code === "42P01" || code === "42703";
}
