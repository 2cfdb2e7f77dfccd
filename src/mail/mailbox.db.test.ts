import { once } from "node:events";
import { request, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import Koa from "koa";
import { describe, expect, it } from "@jest/globals";
import { closeDb, openDb, type Db } from "#src/db/pool";
import { silentLog } from "#src/kernel/log";
import { cloneDatabase } from "../../test/kit/database.ts";
import { mailboxPage } from "./mailbox-page.ts";
import { openMailbox } from "./mailbox.ts";
import type { MailMessage } from "./mail.ts";

const config = { production: false };

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

type Get = (path: string, headers?: Record<string, string>) => Promise<Answer>;

/** A mailbox and its page, served by Koa on a real port. */
async function withMailbox(work: (db: Db, get: Get) => Promise<void>): Promise<void> {
  await using database = await cloneDatabase();
  const db = openDb({ url: database.url, maxConnections: 4, applicationName: "test", log: silentLog });
  const app = new Koa();
  app.use(mailboxPage({ db, config }));
  const server = app.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const get: Get = async (path, headers = {}) => {
    const asked = request({ host: "127.0.0.1", port, path, agent: false, headers });
    asked.end();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    let body = "";
    for await (const part of response.setEncoding("utf8")) body += part as string;
    return { status: response.statusCode ?? 0, headers: response.headers, body };
  };
  try {
    await work(db, get);
  } finally {
    server.close();
    await once(server, "close");
    await closeDb(db);
  }
}

const message: MailMessage = {
  messageId: "019abc00-0000-7000-8000-000000000001",
  to: "ann@example.com",
  subject: "Hello <b>Ann</b>",
  text: "Dear <script>alert(1)</script>",
  html: "<!doctype html><p>Dear Ann</p>",
};

describe("the development mailbox", () => {
  it("shows a message once, however often it is sent with its id", async () => {
    await withMailbox(async (db, get) => {
      const mail = openMailbox({ db, config });
      await mail.send(message);
      await mail.send(message);
      const list = await get("/mailbox");
      expect(list.status).toBe(200);
      expect(list.body.match(/ann@example\.com/g)).toHaveLength(1);
    });
  });

  it("shows what others wrote as text, on a page that can run nothing", async () => {
    await withMailbox(async (db, get) => {
      await openMailbox({ db, config }).send(message);
      for (const page of [await get("/mailbox"), await get(`/mailbox/${message.messageId}`)]) {
        expect(page.body).toContain("Hello &lt;b&gt;Ann&lt;/b&gt;");
        expect(page.body).not.toMatch(/<script|<b>/);
        expect(page.headers["content-security-policy"]).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
        expect(page.headers["content-security-policy"]).not.toContain("script-src");
        expect(page.headers["cache-control"]).toBe("no-store");
      }
      expect((await get(`/mailbox/${message.messageId}`)).body).toContain("Dear &lt;script&gt;alert(1)&lt;/script&gt;");
    });
  });

  it("shows the HTML part in a sandbox", async () => {
    await withMailbox(async (db, get) => {
      await openMailbox({ db, config }).send(message);
      const page = await get(`/mailbox/${message.messageId}/html`);
      expect(page.body).toBe(message.html);
      expect(page.headers["content-security-policy"]).toMatch(/default-src 'none'.*; sandbox/);
      expect(page.headers["content-security-policy"]).not.toMatch(/allow-scripts|allow-same-origin/);
    });
  });

  it("is not there under another name, for scripts and behind proxies", async () => {
    await withMailbox(async (db, get) => {
      await openMailbox({ db, config }).send(message);
      for (const headers of [{ host: "evil.example" }, { origin: "http://localhost:5173" }, { "x-forwarded-for": "192.0.2.7" }]) {
        const answer = await get("/mailbox", headers as Record<string, string>);
        expect(answer.status).toBe(404);
        expect(answer.body).not.toContain("ann@example.com");
      }
    });
  });

  it("knows no other message and no other path", async () => {
    await withMailbox(async (_db, get) => {
      for (const path of ["/mailbox/none", "/mailbox/%00", "/mailbox/..%2Fetc", "/mailbox/a/b", "/mailbox/a/html/c", "/mailboxes"]) {
        expect((await get(path)).status).toBe(404);
      }
    });
  });
});
