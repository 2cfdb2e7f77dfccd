/** `postgres.ts <folder>`: an embedded PostgreSQL as `npm start` runs it, fsync on; ends, with its folder, when the bench ends. */

import { rm } from "node:fs/promises";
import { startEmbeddedPostgres } from "#src/embedded/embedded-postgres";
import { silentLog } from "#src/kernel/log";
import { answerCalls } from "../kit/rpc.ts";

const folder = process.argv[2] ?? "";
// The bench tells us when to leave; a signal to everybody must not take the server from under its last statements.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

const starting = startEmbeddedPostgres({ dataDir: folder, log: silentLog, supervise: false });
answerCalls(
  {
    where: async () => {
      const { url, adminUrl, pid } = await starting;
      return { url, adminUrl, pid };
    },
  },
  async () => {
    await (await starting).stop();
    await rm(folder, { recursive: true, force: true });
  },
);
