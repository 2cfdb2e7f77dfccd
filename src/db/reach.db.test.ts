import { describe, expect, it } from "@jest/globals";
import { systemClock } from "#src/kernel/clock";
import { silentLog, type Log } from "#src/kernel/log";
import { cloneDatabase } from "../../test/kit/database.ts";
import { startTcpProxy } from "../../test/kit/tcp-proxy.ts";
import { reachDatabase } from "./reach.ts";

const OPTIONS = { applicationName: "test", withinMs: 20_000, clock: systemClock, log: silentLog };

describe("the first connection to a database", () => {
  it("is waited for, and had once the server is there", async () => {
    await using database = await cloneDatabase();
    const { hostname, port } = new URL(database.url);
    await using proxy = await startTcpProxy({ host: hostname, port: Number(port) });
    await proxy.refuse(true);
    const url = new URL(database.url);
    url.port = String(proxy.port);
    const warned: unknown[] = [];
    const log: Log = {
      ...silentLog,
      warn: (fields) => {
        warned.push(fields);
        void proxy.refuse(false);
      },
    };
    const client = await reachDatabase({ ...OPTIONS, url: url.href, log });
    expect((await client.query<{ one: number }>("select 1 as one")).rows).toEqual([{ one: 1 }]);
    await client.end();
    expect(warned).toEqual([{ why: expect.stringContaining(`at ${hostname}:${proxy.port} cannot be reached: `) }]);
  });

  it("says in one line where it was looked for and why it was not had", async () => {
    await using proxy = await startTcpProxy({ host: "127.0.0.1", port: 1 });
    await proxy.refuse(true);
    const reaching = reachDatabase({ ...OPTIONS, withinMs: 0, url: `postgres://me:secret@127.0.0.1:${proxy.port}/people` });
    await expect(reaching).rejects.toMatchObject({
      message: `the database people at 127.0.0.1:${proxy.port} cannot be reached: connect ECONNREFUSED 127.0.0.1:${proxy.port}`,
    });
    const named = reachDatabase({ ...OPTIONS, withinMs: 0, url: "postgres://me:secret@nobody.invalid/people" });
    await expect(named).rejects.toThrow(
      /^the database people at nobody\.invalid:5432 cannot be reached: getaddrinfo E\w+ nobody\.invalid$/,
    );
  });

  it("is not waited for where the server says no", async () => {
    await using database = await cloneDatabase();
    const url = new URL(database.url);
    url.pathname = "/nowhere";
    await expect(reachDatabase({ ...OPTIONS, url: url.href })).rejects.toMatchObject({
      name: "DatabaseRefused",
      message: expect.stringContaining('database "nowhere" does not exist'),
    });
  });
});
