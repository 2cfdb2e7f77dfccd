/** A process that uses the embedded PostgreSQL as `npm start` does: `embedded-user.ts <DATA_DIR>`. Says what happens, a JSON object a line. */

import { startEmbeddedPostgres } from "#src/embedded/embedded-postgres";
import type { LogFields } from "#src/kernel/log";

const say = (message: string, fields: LogFields): void => {
  const shown = (_: string, value: unknown): unknown => (value instanceof Error ? value.message : value);
  process.stdout.write(`${JSON.stringify({ message, ...fields }, shown)}\n`);
};
const line = (fields: LogFields, message: string): void => say(message, fields);
const log = { debug: line, info: line, warn: line, error: line };

const server = await startEmbeddedPostgres({ dataDir: process.argv[2] ?? "", log, settings: { fsync: "off" }, supervise: true });
const startedMs = Math.round(performance.now());
say("up", { pid: server.pid, port: server.port, url: server.url, adminUrl: server.adminUrl, startedMs });
process.once("SIGTERM", () => void server.stop().then(() => say("down", {})));
