import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import pg from "pg";
import type { RunningProgram } from "../../test/kit/process.ts";
import { startService } from "../../test/kit/process.ts";
import { isAlive, runFolder } from "../../test/kit/run-folder.ts";
import { until } from "../../test/kit/until.ts";
import { endServer, inspectServer } from "./running-server.ts";

/** What test/kit/embedded-user.ts prints. */
interface Said {
  readonly message: string;
  readonly pid?: number;
  readonly port?: number;
  readonly adminUrl?: string;
}

const ENTRY = fileURLToPath(new URL("../../test/kit/embedded-user.ts", import.meta.url));
const STARTED = "started the embedded PostgreSQL";
const JOINED = "joined the embedded PostgreSQL that was running";
const CREATING = "creating the embedded PostgreSQL's data";

let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(runFolder(), "sharing-"));
});
afterEach(async () => {
  const state = await inspectServer(join(dataDir, "postgres", "data"));
  if (state.kind === "running") await endServer(join(dataDir, "postgres", "data"), state.pid, "SIGQUIT");
  await rm(dataDir, { recursive: true });
});

const startUser = (): Promise<RunningProgram> => startService({ entry: ENTRY, args: [dataDir] });

function said(user: RunningProgram): readonly Said[] {
  const whole = user.output.slice(0, user.output.lastIndexOf("\n") + 1);
  return whole.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as Said] : []));
}

const counts = (users: readonly RunningProgram[], message: string): number =>
  users.flatMap(said).filter((line) => line.message === message).length;

/** The server that the user is connected to by its latest word. */
async function up(user: RunningProgram): Promise<{ pid: number; port: number; adminUrl: string }> {
  await user.line(/"message":"up"/);
  const { adminUrl = "" } = said(user).find(({ message }) => message === "up") ?? {};
  const { pid = 0, port = 0 } = said(user).findLast(({ message }) => message === STARTED || message === JOINED) ?? {};
  return { pid, port, adminUrl };
}

async function connected(url: string): Promise<pg.Client & AsyncDisposable> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

describe("processes that share an embedded PostgreSQL", () => {
  it("make the data once when they come at once", async () => {
    await using first = await startUser();
    await using second = await startUser();
    await using third = await startUser();
    const users = [first, second, third];
    const pids = await Promise.all(users.map(async (user) => (await up(user)).pid));
    expect(new Set(pids).size).toBe(1);
    expect([counts(users, CREATING), counts(users, STARTED), counts(users, JOINED)]).toEqual([1, 1, 2]);
  });

  it("leave it running for each other; the last one stops it", async () => {
    await using first = await startUser();
    const { pid } = await up(first);
    await using second = await startUser();
    await up(second);
    expect(await first.stop()).toEqual({ code: 0, signal: null });
    expect(isAlive(pid)).toBe(true);
    expect(await second.stop()).toEqual({ code: 0, signal: null });
    await until(() => !isAlive(pid), { what: "the server to be gone" }); // an orphan is reaped by init, when it comes to it
  });

  it("do not count one that was killed", async () => {
    await using first = await startUser();
    const { pid } = await up(first);
    await using second = await startUser();
    await up(second);
    first.signal("SIGKILL");
    await first.exited;
    await second.stop();
    await until(() => !isAlive(pid), { what: "the server to be gone" }); // an orphan is reaped by init, when it comes to it
  });

  it("take over what a killed one left running", async () => {
    await using killed = await startUser();
    const { pid } = await up(killed);
    killed.signal("SIGKILL");
    await killed.exited;
    expect(isAlive(pid)).toBe(true);
    await using next = await startUser();
    expect(await up(next)).toMatchObject({ pid });
    await next.stop();
    await until(() => !isAlive(pid), { what: "the server to be gone" }); // an orphan is reaped by init, when it comes to it
  });

  it("have it back after it was killed, started again by exactly one of them", async () => {
    await using first = await startUser();
    const { pid, port } = await up(first);
    await using second = await startUser();
    await up(second);
    const users = [first, second];
    process.kill(pid, "SIGKILL");
    await until(() => counts(users, STARTED) + counts(users, JOINED) === 4, { what: "both to have a server again" });
    const [a, b] = [await up(first), await up(second)];
    expect(a.pid).toBe(b.pid);
    expect(a.pid).not.toBe(pid);
    expect(a.port).toBe(port);
    expect(counts(users, STARTED)).toBe(2);
    await Promise.all(users.map((user) => user.stop()));
    await until(() => !isAlive(a.pid), { what: "the server to be gone" }); // an orphan is reaped by init, when it comes to it
  });

  it("have it back each time it is killed", async () => {
    await using user = await startUser();
    await up(user);
    for (let kills = 1; kills <= 3; kills += 1) {
      process.kill((await up(user)).pid, "SIGKILL");
      await until(() => counts([user], STARTED) === kills + 1, { what: `restart ${kills}` });
    }
    await using client = await connected((await up(user)).adminUrl);
    expect((await client.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
  });

  it("join again when PostgreSQL recovers by itself from the death of a backend", async () => {
    await using user = await startUser();
    const { pid, adminUrl } = await up(user);
    await using client = await connected(adminUrl);
    const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    process.kill(rows[0]?.pid ?? 0, "SIGKILL");
    await user.line(new RegExp(JOINED));
    expect(await up(user)).toMatchObject({ pid });
    await user.stop();
    await until(() => !isAlive(pid), { what: "the server to be gone" }); // an orphan is reaped by init, when it comes to it
  });

  it("stop it though their connection was cut a moment ago", async () => {
    await using user = await startUser();
    const { pid, adminUrl } = await up(user);
    {
      await using client = await connected(adminUrl);
      await client.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'user-service member'");
    }
    await user.stop();
    await until(() => !isAlive(pid), { what: "the server to be gone" }); // an orphan is reaped by init, when it comes to it
  });

  it("end one that was left running but does not answer, and start another", async () => {
    await using killed = await startUser();
    const { pid } = await up(killed);
    process.kill(pid, "SIGSTOP");
    killed.signal("SIGKILL");
    await killed.exited;
    await using next = await startUser();
    expect((await up(next)).pid).not.toBe(pid);
    await until(() => !isAlive(pid), { what: "the server to be gone" }); // an orphan is reaped by init, when it comes to it
  });
});
