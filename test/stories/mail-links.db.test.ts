import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { closeDb, openDb, type Db } from "#src/db/pool";
import { rows, sql } from "#src/db/sql";
import { silentLog } from "#src/kernel/log";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import type { Answer } from "../kit/http-client.ts";
import { startApiProcess, startWorkerProcess, type ApiProcess } from "../kit/service.ts";
import { until } from "../kit/until.ts";

const FORM = "application/x-www-form-urlencoded";

describe("links in mails, where addresses are confirmed first", () => {
  const stack = new AsyncDisposableStack();
  let database: TestDatabase;
  let db: Db;
  let api: ApiProcess;

  beforeAll(async () => {
    database = stack.use(await cloneDatabase());
    db = openDb({ url: database.url, maxConnections: 2, applicationName: "test", log: silentLog });
    stack.defer(() => closeDb(db));
    const env = { REGISTRATION: "verified", PUBLIC_URL: "https://id.example.com" };
    const [first, worker] = await Promise.all([startApiProcess({ database, env }), startWorkerProcess({ database, env })]);
    api = stack.use(first);
    stack.use(worker);
  }, 60_000);
  afterAll(() => stack.disposeAsync());

  const post = (path: string, body: object, headers: Readonly<Record<string, string>> = {}): Promise<Answer<unknown>> =>
    api.http.send<unknown>("POST", path, { body, headers });
  const submit = (path: string, form: string, type = FORM): Promise<Answer<string>> =>
    api.http.send<string>("POST", path, { body: form, headers: { "content-type": type } });

  const seen = new Set<string>();

  /** The link of the newest mail to an address that was not read yet, as a path. */
  async function linkTo(email: string, subject: string): Promise<string> {
    const path = await until(async () => {
      const found = await rows<{ text_body: string }>(
        db,
        sql`select text_body from mailbox where recipient = ${email} and subject = ${subject} order by sent_at desc limit 1`,
      );
      const link = /^https:\/\/id\.example\.com(\/confirm\/[\w-]+)$/m.exec(found[0]?.text_body ?? "")?.[1];
      return link === undefined || seen.has(link) ? undefined : link;
    });
    seen.add(path);
    return path;
  }

  it("make the account by the page's button and not by opening it", async () => {
    const account = { email: "ann@example.com", username: "ann", password: "securepass" };
    expect(await post("/api/auth/register", account)).toMatchObject({ status: 202, body: { status: "mail_sent" } });
    const path = await linkTo("ann@example.com", "Confirm your e-mail address");
    for (let index = 0; index < 3; index += 1) {
      const page = await api.http.get<string>(path);
      expect(page.status).toBe(200);
      expect(page.body).toContain("ann@example.com");
      expect(page.headers).toMatchObject({
        "content-type": "text/html; charset=utf-8",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
        "x-frame-options": "DENY",
      });
      expect(page.headers["content-security-policy"]).toContain("default-src 'none'");
    }
    expect((await post("/api/auth/login", { emailOrUsername: "ann", password: "securepass" })).status).toBe(401);
    expect(await submit(path, "")).toMatchObject({ status: 200 });
    expect(await submit(path, "")).toMatchObject({ status: 404 });
    expect((await api.http.get<string>(path)).body).toContain("not good any more");
    expect(await post("/api/auth/login", { emailOrUsername: "ann", password: "securepass" })).toMatchObject({
      status: 200,
      body: { user: { emailVerified: true } },
    });
  });

  it("answer registering alike whether the address has an account or not", async () => {
    const answers = [];
    for (const email of ["ann@example.com", "nobody@example.com"]) {
      const { status, body } = await post("/api/auth/register", { email, username: `new${answers.length}`, password: "securepass" });
      answers.push({ status, body });
    }
    expect(answers[0]).toEqual(answers[1]);
  });

  it("set a new password by the page's form, in the language of its reader", async () => {
    expect((await post("/api/auth/forgot-password", { email: "ann@example.com" })).status).toBe(202);
    const path = await linkTo("ann@example.com", "Set a new password");
    const page = await api.http.send<string>("GET", path, { headers: { "accept-language": "hu-HU" } });
    expect(page.body).toContain('<html lang="hu">');
    expect(page.body).toContain('autocomplete="new-password"');
    const easy = await submit(path, "password=ann%40example.com");
    expect(easy.status).toBe(400);
    expect(easy.body).toContain("<form");
    const short = await submit(path, "password=short");
    expect([short.status, short.body.includes("at least 8 characters")]).toEqual([400, true]);
    expect((await submit(path, "password=a%20long+one%20%3Cb%3E")).status).toBe(200);
    expect((await post("/api/auth/login", { emailOrUsername: "ann", password: "a long one <b>" })).status).toBe(200);
  });

  it("show nothing and do nothing for what is not one, or is sent in another way", async () => {
    for (const token of ["x", "%00", "..%2Fapi", "A".repeat(54), "A".repeat(5_000)]) {
      expect([400, 404]).toContain((await api.http.get<string>(`/confirm/${token}`)).status);
      expect([400, 404]).toContain((await submit(`/confirm/${token}`, "password=whatever1")).status);
    }
    await post("/api/auth/forgot-password", { email: "ann@example.com" });
    const path = await linkTo("ann@example.com", "Set a new password");
    expect((await submit(path, '{"password":"long enough"}', "application/json")).status).toBe(415);
    expect((await submit(path, `password=${"x".repeat(100_000)}`)).status).toBe(413);
    expect((await submit(path, "password=%zz")).status).toBe(400);
    expect((await submit(path, "password=one+password&password=another")).status).toBe(400);
    for (const method of ["PUT", "DELETE", "PATCH"]) expect((await api.http.send(method, path)).status).toBe(405);
    expect((await api.http.get<string>(path)).body).toContain("<form");
  });

  it("show a name that is HTML as text", async () => {
    const account = { email: "o'neil+<b>@example.com", username: "oneil", password: "securepass" };
    expect((await post("/api/auth/register", account)).status).toBe(400);
    await post("/api/auth/register", { ...account, email: "o'neil@example.com" });
    const page = await api.http.get<string>(await linkTo("o'neil@example.com", "Confirm your e-mail address"));
    expect(page.body).toContain("o&#39;neil@example.com");
  });

  it("lead to our own address, whatever Host the request had", async () => {
    const body = JSON.stringify({ email: "ann@example.com" });
    const headers = { host: "evil.example", "content-type": "application/json", "x-forwarded-host": "evil.example" };
    const sent = request(`${api.url}/api/auth/forgot-password`, { method: "POST", headers });
    sent.end(body);
    await new Promise((resolve) => sent.once("response", (response) => response.resume().once("end", resolve)));
    await linkTo("ann@example.com", "Set a new password");
    const mails = await rows<{ html_body: string }>(db, sql`select html_body from mailbox`);
    expect(mails.filter(({ html_body: html }) => html.includes("evil.example"))).toEqual([]);
  });
});
