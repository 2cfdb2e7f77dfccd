/** `postgres.ts <folder of the run>`: an embedded PostgreSQL as `npm start` runs it, fsync on. When the bench ends, be it killed, this ends too and takes the folder along. */

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { startEmbeddedPostgres } from "#src/embedded/embedded-postgres";
import { silentLog } from "#src/kernel/log";
import { answerCalls } from "../kit/rpc.ts";

const folder = process.argv[2] ?? "";
// The bench tells us when to leave; a signal to everybody must not take the server from under its last statements.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

const starting = startEmbeddedPostgres({ dataDir: join(folder, "postgres"), log: silentLog, supervise: false });
answerCalls(
  {
    where: async () => {
      const { url, adminUrl, pid } = await starting;
      return { url, adminUrl, pid };
    },
  },
  async () => {
    try {
      await (await starting).stop();
    } finally {
      // Programs of the run may still be writing their last lines.
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    }
  },
);
