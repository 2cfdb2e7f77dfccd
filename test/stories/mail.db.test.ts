import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { closeDb, openDb } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { addNotice } from "#src/features/notices/public";
import { silentLog } from "#src/kernel/log";
import { cloneDatabase } from "../kit/database.ts";
import { HttpClient } from "../kit/http-client.ts";
import { startMailServer } from "../kit/mail-server.ts";
import { people } from "../kit/people.ts";
import { runFolder } from "../kit/run-folder.ts";
import { startWorkerProcess } from "../kit/service.ts";
import { until } from "../kit/until.ts";

/** Nobody is at the sidecar's port: mail needs none. */
const PRODUCTION = {
  NODE_ENV: "production",
  SIDECAR: "dapr",
  DAPR_HTTP_PORT: "1",
  RATE_LIMITS: "on",
  PUBLIC_URL: "https://id.example.com",
};

/** As far as these tests read it. */
interface Services {
  readonly services: { readonly mail?: { readonly state: string; readonly detail?: string } };
}

describe("a worker in production", () => {
  it("mails through a server whose certificate it is told to trust, and says how that goes", async () => {
    await using database = await cloneDatabase();
    await using server = await startMailServer({ login: { user: "app", password: "right" } });
    const trusted = join(runFolder(), `mail-${server.port}.pem`);
    await writeFile(trusted, server.certificate.cert);
    await using worker = await startWorkerProcess({
      database,
      env: {
        ...PRODUCTION,
        SMTP_URL: `smtp://app:right@localhost:${server.port}`,
        MAIL_FROM: "User Service <no-reply@example.org>",
        NODE_EXTRA_CA_CERTS: trusted,
      },
    });
    const [, port] = await worker.program.line(/"health is told here".*?"port":(\d+)/);
    using http = new HttpClient(`http://127.0.0.1:${port}`);
    const mailState = async (): Promise<Services["services"]["mail"]> => (await http.get<Services>("/health/services")).body.services.mail;
    expect(await mailState()).toMatchObject({ state: "up" });

    await tellAnn(database.url);

    await until(() => server.received.length === 1, { withinMs: 20_000, what: "the mail" });
    expect(server.received[0]).toMatchObject({ isEncrypted: true, user: "app", from: "no-reply@example.org" });
    await until(async () => (await http.get<string>("/metrics")).body.includes("\nmail_taken 1\n"), { what: "the mail to be counted" });

    expect(await worker.stop()).toEqual({ code: 0, signal: null });
    await until(() => server.connections() === 0, { what: "its connections to be closed" });
  }, 120_000);

  it("that trusts nobody's certificate keeps the mail, and says that and why, without the password", async () => {
    await using database = await cloneDatabase();
    await using server = await startMailServer({ login: { user: "app", password: "hunter2" } });
    await using worker = await startWorkerProcess({
      database,
      env: { ...PRODUCTION, SMTP_URL: `smtp://app:hunter2@localhost:${server.port}`, MAIL_FROM: "no-reply@example.org" },
    });
    const [, port] = await worker.program.line(/"health is told here".*?"port":(\d+)/);
    using http = new HttpClient(`http://127.0.0.1:${port}`);

    await tellAnn(database.url);

    const degraded = await until(async () => {
      const { mail } = (await http.get<Services>("/health/services")).body.services;
      return mail?.state === "degraded" ? mail : undefined;
    });
    expect(degraded.detail).toContain("DEPTH_ZERO_SELF_SIGNED_CERT, failing for");
    expect(server.received).toEqual([]);
    await worker.program.line(/self-signed certificate/);
    expect(worker.program.output).not.toContain("hunter2");
  }, 120_000);

  it("does not start without a mail server, and names all that it lacks", async () => {
    const database = { url: "postgres://nobody@127.0.0.1:1/none" };
    const refused = startWorkerProcess({ database, env: PRODUCTION });
    await expect(refused).rejects.toThrow(/SMTP_URL: must be set[^]*MAIL_FROM: must be set/);
    await expect(refused).rejects.toThrow(/78/);
  });
});

/** A notice, and with it the job that mails it. */
async function tellAnn(databaseUrl: string): Promise<void> {
  const db = openDb({ url: databaseUrl, maxConnections: 2, applicationName: "test", log: silentLog });
  try {
    const { ann } = await people(db, { ann: {} });
    const content = { type: "restriction.lifted", data: { restrictionId: ann.id, kind: "ban" } } as const;
    await inTx(db, (tx) => addNotice(tx, ann.id, content));
  } finally {
    await closeDb(db);
  }
}
