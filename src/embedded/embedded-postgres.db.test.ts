import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import pg from "pg";
import { silentLog } from "#src/kernel/log";
import { startProgram } from "../../test/kit/process.ts";
import { isAlive, runFolder } from "../../test/kit/run-folder.ts";
import { until } from "../../test/kit/until.ts";
import type { EmbeddedPostgres } from "./embedded-postgres.ts";
import { startEmbeddedPostgres } from "./embedded-postgres.ts";
import { freePort } from "./free-port.ts";

let dataDir: string;

beforeEach(async () => {
  // Below a folder that is closed to others, as mkdtemp makes it, and with a name that wants quoting.
  dataDir = join(await mkdtemp(join(runFolder(), "embedded-")), "it's data");
});
afterEach(() => rm(join(dataDir, ".."), { recursive: true }));

const start = (more: { port?: number; dataDir?: string } = {}): Promise<EmbeddedPostgres> =>
  startEmbeddedPostgres({ dataDir, log: silentLog, settings: { fsync: "off" }, supervise: false, ...more });

async function query(url: string, statement: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows;
  } finally {
    await client.end();
  }
}

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

describe("the embedded PostgreSQL", () => {
  it("has the service's database, owned by a role that is no superuser", async () => {
    await using server = await start();
    const [row] = await query(
      server.url,
      "SELECT current_database() AS db, current_setting('is_superuser') AS super, version() AS version",
    );
    expect(row).toMatchObject({ db: "videa_mozi_users", super: "off" });
    expect(row?.["version"]).toMatch(/^PostgreSQL 18\./);
    await query(server.url, "CREATE EXTENSION pg_trgm");
    expect(await query(server.url, "SELECT show_trgm('ő') <> '{}' AS letters, upper('ő') AS upper")).toEqual([
      { letters: true, upper: "Ő" },
    ]);
  });

  it("lets nobody in without the password, which only its owner can read", async () => {
    await using server = await start();
    const wrong = new URL(server.url);
    wrong.password = "guess";
    await expect(query(wrong.href, "SELECT 1")).rejects.toThrow("password authentication failed");
    expect(await modeOf(join(dataDir, "secrets"))).toBe(0o700);
    expect(await modeOf(join(dataDir, "secrets", "postgres-password"))).toBe(0o600);
    expect(await modeOf(join(dataDir, "postgres", "data"))).toBe(0o700);
  });

  it("listens on 127.0.0.1 and nowhere else", async () => {
    await using server = await start();
    const [row] = await query(
      server.adminUrl,
      "SELECT current_setting('listen_addresses') AS tcp, current_setting('unix_socket_directories') AS unix",
    );
    expect(row).toEqual({ tcp: "127.0.0.1", unix: "" });
  });

  it("keeps data and port over a stop, and leaves no process behind", async () => {
    const first = await start();
    await query(first.url, "CREATE TABLE kept AS SELECT 42 AS answer");
    await first.stop();
    expect(isAlive(first.pid)).toBe(false);
    await using second = await start();
    expect(second.port).toBe(first.port);
    expect(await query(second.url, "SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
  });

  it("takes another port when its own is taken", async () => {
    const first = await start();
    await first.stop();
    await using _squatter = await listenOn(first.port);
    await using second = await start();
    expect(second.port).not.toBe(first.port);
    await query(second.url, "SELECT 1");
  });

  it("says so when the port it was told to use is taken", async () => {
    const port = await freePort();
    await using _squatter = await listenOn(port);
    await expect(start({ port })).rejects.toThrow(`Port ${port} of 127.0.0.1 is taken`);
  });

  it("sees past a postmaster.pid whose process id is someone else's by now", async () => {
    const before = await start();
    await before.stop();
    // A process of the same account: PostgreSQL alone would take it for the earlier server and refuse.
    await using other = await startProgram({ command: "sleep", args: ["600"] });
    const data = join(dataDir, "postgres", "data");
    await writeFile(
      join(data, "postmaster.pid"),
      `${other.pid}\n${data}\n1790000000\n${before.port}\n\n127.0.0.1\n         1         1\nready   \n`,
    );
    await using server = await start();
    await query(server.url, "SELECT 1");
    expect(isAlive(other.pid)).toBe(true);
  });

  it("is not taken in by a copy of the folder of a running server", async () => {
    await using original = await start();
    await using cp = await startProgram({ command: "cp", args: ["-a", dataDir, `${dataDir}.copy`] });
    expect(await cp.exited).toEqual({ code: 0, signal: null });
    await using second = await start({ dataDir: `${dataDir}.copy` });
    expect(second.pid).not.toBe(original.pid);
    await query(original.url, "CREATE TABLE only_in_the_original ()");
    await expect(query(second.url, "TABLE only_in_the_original")).rejects.toThrow("does not exist");
  });

  it("starts over where a start was killed inside initdb", async () => {
    const unfinished = join(dataDir, "postgres", "data.new");
    await mkdir(unfinished, { recursive: true });
    await writeFile(join(unfinished, "PG_VERSION"), "18\n");
    await using server = await start();
    await query(server.url, "SELECT 1");
    await expect(stat(unfinished)).rejects.toThrow("ENOENT");
  });

  it("refuses the data of another major version and says what to do", async () => {
    const data = join(dataDir, "postgres", "data");
    await mkdir(data, { recursive: true });
    await writeFile(join(data, "PG_VERSION"), "17\n");
    await expect(start()).rejects.toThrow(/holds the data of PostgreSQL 17.*brings PostgreSQL 18.*pg_dump.*move .* away/);
  });

  it("says what to do when the password is lost, and leaves nothing running", async () => {
    const before = await start();
    await before.stop();
    await rm(join(dataDir, "secrets"), { recursive: true });
    await expect(start()).rejects.toThrow(/postgres-password does not open .* Restore that file, or move the folder away/);
    await expect(readFile(join(dataDir, "postgres", "data", "postmaster.pid"))).rejects.toThrow("ENOENT");
  });

  it("reports a server that cannot start by PostgreSQL's own words", async () => {
    const broken = startEmbeddedPostgres({
      dataDir,
      log: silentLog,
      settings: { fsync: "off", shared_buffers: "nonsense" },
      supervise: false,
    });
    await expect(broken).rejects.toThrow(/did not start .*invalid value for parameter "shared_buffers"/);
  });
});

async function listenOn(port: number): Promise<AsyncDisposable> {
  const server = createServer();
  server.listen(port, "127.0.0.1");
  await until(() => server.listening);
  return { [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) };
}
