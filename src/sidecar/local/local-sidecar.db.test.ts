import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { closeDb, openDb, type Db } from "#src/db/pool";
import { affected, row, sql } from "#src/db/sql";
import { silentLog } from "#src/kernel/log";
import { sidecarContract } from "../../../test/contracts/sidecar.ts";
import { cloneDatabase } from "../../../test/kit/database.ts";
import { createLocalSidecar, type LocalSidecar, type LocalSidecarOptions } from "./local-sidecar.ts";
import { sweepState } from "./local-state.sql.ts";

const never = new AbortController().signal;

interface Opened extends AsyncDisposable {
  readonly sidecar: LocalSidecar;
  readonly db: Db;
  readonly dataDir: string;
}

async function open(options: Partial<LocalSidecarOptions> = {}): Promise<Opened> {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await cloneDatabase());
  const db = openDb({ url: database.url, maxConnections: 4, applicationName: "test", log: silentLog });
  stack.defer(() => closeDb(db));
  const dataDir = await mkdtemp(join(tmpdir(), "sidecar-"));
  stack.defer(() => rm(dataDir, { recursive: true }));
  const sidecar = stack.use(
    createLocalSidecar({
      db,
      log: silentLog,
      production: false,
      dataDir,
      environment: { SECRET_CONTRACT_TEST: "hidden" },
      maxAttempts: 4,
      retry: { firstMs: 5, mostMs: 20 },
      ...options,
    }),
  );
  const owned = stack.move();
  return { sidecar, db, dataDir, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

sidecarContract("LocalSidecar", {
  open: async (subscriptions, neighbour) => {
    const variable = `APP_${neighbour?.appId.toUpperCase().replaceAll("-", "_")}_URL`;
    const apps = neighbour === undefined ? {} : { [variable]: `http://127.0.0.1:${neighbour.port}/` };
    const opened = await open({ environment: { SECRET_CONTRACT_TEST: "hidden", ...apps } });
    opened.sidecar.subscribe(subscriptions);
    return opened;
  },
  secret: { name: "contract-test", value: "hidden" },
});

describe("LocalSidecar", () => {
  it("refuses to run under NODE_ENV=production", async () => {
    await expect(open({ production: true })).rejects.toThrow(/production/);
  });

  it("takes a secret from a file that only its owner can read", async () => {
    await using opened = await open();
    const folder = await secretsFolder(opened.dataDir);
    await writeFile(join(folder, "mail-password"), "from a file\n", { mode: 0o600 });
    expect((await opened.sidecar.secret("mail-password", never))?.reveal()).toBe("from a file");
  });

  it("takes a secret from the environment before a file", async () => {
    await using opened = await open({ environment: { SECRET_MAIL_PASSWORD: "from outside" } });
    await writeFile(join(await secretsFolder(opened.dataDir), "mail-password"), "from a file", { mode: 0o600 });
    expect((await opened.sidecar.secret("mail-password", never))?.reveal()).toBe("from outside");
  });

  it("refuses a secret that others can read, and says what to do", async () => {
    await using opened = await open();
    const folder = await secretsFolder(opened.dataDir);
    const file = join(folder, "mail-password");
    await writeFile(file, "open", { mode: 0o600 });
    await chmod(file, 0o640);
    await expect(opened.sidecar.secret("mail-password", never)).rejects.toThrow(/chmod 600/);
    await chmod(file, 0o600);
    await chmod(folder, 0o750);
    await expect(opened.sidecar.secret("mail-password", never)).rejects.toThrow(/chmod 700/);
  });

  it("does not follow a link out of its folder, nor read what is no plain file", async () => {
    await using opened = await open();
    const folder = await secretsFolder(opened.dataDir);
    await writeFile(join(opened.dataDir, "elsewhere"), "other", { mode: 0o600 });
    await symlink("../elsewhere", join(folder, "a-link"));
    await mkdir(join(folder, "a-folder"), { mode: 0o700 });
    await expect(opened.sidecar.secret("a-link", never)).rejects.toThrow();
    await expect(opened.sidecar.secret("a-folder", never)).rejects.toThrow(/plain file/);
  });

  it("gives a handler its own copy, so that it cannot change the next try", async () => {
    await using opened = await open();
    const seen: unknown[] = [];
    const done = Promise.withResolvers<void>();
    opened.sidecar.subscribe([
      {
        topic: "t",
        deliver: (event) => {
          const copy = event as { data: { n: number } };
          seen.push(copy.data.n);
          copy.data.n += 1;
          if (seen.length === 2) done.resolve();
          return Promise.resolve(seen.length === 2 ? "SUCCESS" : "RETRY");
        },
      },
    ]);
    await opened.sidecar.publish("t", { ...event, data: { n: 1 } }, never);
    await done.promise;
    expect(seen).toEqual([1, 1]);
  });

  it("takes no more than it can deliver: publish waits, and gives up with its signal", async () => {
    await using opened = await open();
    const gate = Promise.withResolvers<void>();
    let begun = 0;
    opened.sidecar.subscribe([{ topic: "t", deliver: () => ((begun += 1), gate.promise.then(() => "SUCCESS")) }]);
    for (let i = 0; i < 16; i += 1) await opened.sidecar.publish("t", event, never);
    await expect(opened.sidecar.publish("t", event, AbortSignal.timeout(20))).rejects.toThrow();
    expect(begun).toBe(16);
    gate.resolve();
    await opened.sidecar.publish("t", event, never);
  });

  it("waits for a running handler when it closes, and takes nothing after", async () => {
    await using opened = await open();
    const gate = Promise.withResolvers<void>();
    let ended = false;
    opened.sidecar.subscribe([{ topic: "t", deliver: () => gate.promise.then(() => ((ended = true), "RETRY")) }]);
    await opened.sidecar.publish("t", event, never);
    let closed = false;
    const closing = opened.sidecar.close().then(() => (closed = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(closed).toBe(false);
    gate.resolve();
    await closing;
    expect(ended).toBe(true);
    await expect(opened.sidecar.publish("t", event, never)).rejects.toThrow(/closed/);
  });

  it("sweeps entries past their time and no others", async () => {
    await using opened = await open();
    await opened.sidecar.state.set("kept", 1, { expected: "nothing" }, never);
    await opened.sidecar.state.set("later", 1, { expected: "nothing", ttlSeconds: 60 }, never);
    await opened.sidecar.state.set("past", 1, { expected: "nothing", ttlSeconds: 60 }, never);
    await affected(opened.db, sql`update sidecar_state set expires_at = now() - interval '1 second' where key = 'past'`);
    expect(await sweepState(opened.db)).toBe(1);
    expect(await row(opened.db, sql`select count(*) as left from sidecar_state`)).toEqual({ left: 2 });
  });
});

const event = {
  specversion: "1.0",
  id: "1",
  source: "urn:test",
  type: "t",
  subject: "s",
  time: "2026-11-24T00:00:00Z",
  datacontenttype: "application/json",
  userversion: 1,
  data: {},
} as const;

async function secretsFolder(dataDir: string): Promise<string> {
  const folder = join(dataDir, "secrets");
  await mkdir(folder, { mode: 0o700 });
  return folder;
}
