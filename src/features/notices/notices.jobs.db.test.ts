import { describe, expect, it } from "@jest/globals";
import { closeDb, openDb, type Db } from "#src/db/pool";
import { row, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { createJobRunner } from "#src/jobs/runner";
import { systemClock } from "#src/kernel/clock";
import { silentLog, type Log, type LogFields } from "#src/kernel/log";
import { openSmtp } from "#src/mail/smtp";
import { cloneDatabase } from "../../../test/kit/database.ts";
import { Reply, startMailServer, type MailServer, type MailServerOptions } from "../../../test/kit/mail-server.ts";
import { people } from "../../../test/kit/people.ts";
import { until } from "../../../test/kit/until.ts";
import { addNotice } from "./add-notice.ts";
import { noticesJobs } from "./notices.jobs.ts";

interface Open extends AsyncDisposable {
  readonly db: Db;
  readonly server: MailServer;
  readonly logged: readonly LogFields[];
  readonly jobs: () => Promise<readonly object[]>;
}

/** The jobs of notices, run as the worker runs them, with a mail server; `ann` and others have a notice each. */
async function open(server: MailServerOptions, names: readonly string[] = ["ann"]): Promise<Open> {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await cloneDatabase());
  const db = openDb({ url: database.url, maxConnections: 8, applicationName: "test", log: silentLog });
  stack.defer(() => closeDb(db));
  const mailServer = stack.use(await startMailServer({ tls: "none", ...server }));
  const mail = openSmtp({
    host: "127.0.0.1",
    port: mailServer.port,
    tls: "off",
    login: undefined,
    from: { name: undefined, address: "no-reply@example.org" },
    clock: systemClock,
  });
  stack.defer(() => mail.close());
  const logged: LogFields[] = [];
  const log: Log = { ...silentLog, warn: (fields) => void logged.push(fields), error: (fields) => void logged.push(fields) };
  const runner = createJobRunner({
    db,
    deps: { db, mail },
    log,
    jobs: noticesJobs,
    sweeps: [],
    pollMs: 10,
    retry: { firstMs: 10, mostMs: 50 },
  });
  stack.defer(() => runner.stop(AbortSignal.timeout(2_000)));
  const made = await people(db, Object.fromEntries(names.map((name) => [name, {}])));
  for (const { id } of Object.values(made)) {
    await inTx(db, (tx) => addNotice(tx, id, { type: "restriction.lifted", data: { restrictionId: id, kind: "ban" } }));
  }
  runner.start();
  const owned = stack.move();
  return {
    db,
    server: mailServer,
    logged,
    jobs: () => rows(db, sql`select state, attempts, last_error from jobs`),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const finished = async (opened: Open): Promise<boolean> =>
  (await row(opened.db, sql`select 1 from jobs where state = 'waiting' limit 1`)) === undefined;

const messageIds = ({ received }: MailServer): (string | undefined)[] =>
  received.map(({ raw }) => /^Message-ID: <(.*)>\r$/m.exec(raw)?.[1]);

describe("the mail of a notice, to a real server", () => {
  it("has the job's id as Message-ID, also when the server was gone before it said that it has it", async () => {
    await using opened = await open({ onMessage: (count) => (count === 0 ? "hang-up" : "take") });
    await until(() => finished(opened));
    const work = await row<{ id: string }>(opened.db, sql`select id from jobs`);
    expect(messageIds(opened.server)).toEqual([`${work?.id}@example.org`, `${work?.id}@example.org`]);
    expect(await opened.jobs()).toEqual([{ state: "done", attempts: 2, last_error: null }]);
  });

  it("is tried again when the server says that it cannot now", async () => {
    const later = (_address: string, count: number): void => {
      if (count < 2) throw new Reply(451, "4.3.0 later");
    };
    await using opened = await open({ onRecipient: later });
    await until(() => finished(opened));
    expect(opened.server.received).toHaveLength(1);
    expect(await opened.jobs()).toEqual([{ state: "done", attempts: 3, last_error: null }]);
  });

  it("is not tried again when there is no such mailbox; why stays in the row, the address nowhere", async () => {
    let asked = 0;
    const unknown = (address: string): void => {
      asked += 1;
      throw new Reply(550, `5.1.1 ${address} is unknown`);
    };
    await using opened = await open({ onRecipient: unknown });
    await until(() => finished(opened));
    expect(asked).toBe(1);
    const reason = "JobEnded: EENVELOPE 550 5.1.1: 550 5.1.1 (address) is unknown";
    expect(await opened.jobs()).toEqual([{ state: "done", attempts: 1, last_error: reason }]);
    expect(opened.logged).toHaveLength(1);
    expect(String(opened.logged[0]?.["error"])).toBe(reason);
  });

  it("does not wait for that of others", async () => {
    const names = Array.from({ length: 30 }, (_, n) => `person${n}`);
    const oneUnknown = (address: string): void => {
      if (address.startsWith("person7@")) throw new Reply(550, "5.1.1 no");
    };
    await using opened = await open({ onRecipient: oneUnknown }, names);
    await until(() => finished(opened), { withinMs: 20_000 });
    expect(new Set(opened.server.received.flatMap(({ to }) => to)).size).toBe(29);
    expect(opened.server.greeted()).toBeLessThanOrEqual(4);
  });
});
