/** The client for web pages against a real API: several tabs in this process, and the same in a real browser where there is one. */

import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { BroadcastChannel, locks } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { AuthProblem, createAuthClient, type AuthClient, type Channel, type Locks } from "#src/browser-client/auth-client";
import { createAccessTokens } from "#src/features/sessions/access-token";
import { parseKeyRing } from "#src/features/sessions/key-ring";
import { holdKeyRing } from "#src/features/sessions/key-ring-source";
import { systemClock } from "#src/kernel/clock";
import { serveAuthSite } from "../kit/auth-page.ts";
import { cloneDatabase } from "../kit/database.ts";
import { serverPorts } from "../kit/ports.ts";
import { startProgram } from "../kit/process.ts";
import { describeWith } from "../kit/requires.ts";
import { runFolder } from "../kit/run-folder.ts";
import { SIGNING_KEYS, startApiProcess, type ApiProcess } from "../kit/service.ts";
import { until } from "../kit/until.ts";

const MINUTES_20 = 20 * 60 * 1_000;
const PASSWORD = "correct horse battery";
const TABS = 10;

const stack = new AsyncDisposableStack();
let ports: { api: number; page: number };
let api: ApiProcess;
let baseUrl: string;
let expired: (session: { readonly userId: string; readonly sessionId: string }) => string;

beforeAll(async () => {
  ports = await serverPorts("api", "page");
  baseUrl = `http://localhost:${ports.api}`;
  const database = stack.use(await cloneDatabase());
  const env = { PORT: String(ports.api), PUBLIC_URL: baseUrl, CORS_ORIGINS: `http://localhost:${ports.page}` };
  api = stack.use(await startApiProcess({ database, env }));
  const keyRing = holdKeyRing(parseKeyRing(SIGNING_KEYS), systemClock);
  const clock = { ...systemClock, now: () => new Date(Date.now() - MINUTES_20) };
  const tokens = createAccessTokens({ keyRing, clock, issuer: baseUrl, audiences: ["user-service"] });
  expired = (session) => tokens.issue({ ...session, roles: ["user"] });
});
afterAll(() => stack.disposeAsync());

/** What a browser keeps for all its tabs, and what was asked of the service. */
class Browser implements Disposable {
  readonly store = new Map<string, string>();
  readonly sent: string[] = [];
  cookie: string | undefined;
  readonly #tabs: AuthClient[] = [];

  /** @param bare without locks and channel, as an old browser */
  tab(storage: "cookie" | "memory" = "cookie", bare = false): AuthClient {
    const page = {
      locks: bare ? undefined : (locks as unknown as Locks),
      channel: bare || storage === "memory" ? undefined : (new BroadcastChannel(`tabs of ${api.pid}`) as unknown as Channel),
      store: {
        getItem: (key: string) => this.store.get(key) ?? null,
        setItem: (key: string, value: string) => void this.store.set(key, value),
        removeItem: (key: string) => void this.store.delete(key),
      },
    };
    const tab = createAuthClient({ baseUrl, storage, fetch: this.#fetch, ...page });
    this.#tabs.push(tab);
    return tab;
  }

  readonly #fetch: typeof fetch = async (input, init = {}) => {
    const path = new URL(input instanceof Request ? input.url : input).pathname;
    this.sent.push(path);
    const headers = new Headers(init.headers);
    headers.set("Origin", `http://localhost:${ports.page}`);
    if (init.credentials === "include" && this.cookie !== undefined) headers.set("Cookie", this.cookie);
    const response = await fetch(`${api.url}${path}`, { ...init, headers });
    const set = response.headers.get("set-cookie");
    if (set !== null && init.credentials === "include") this.cookie = set.includes("Max-Age=0") ? undefined : set.split(";")[0];
    if (!path.endsWith("/register") || !response.ok) return response;
    const body = (await response.json()) as { user: { id: string }; session: { id: string } };
    const accessToken = expired({ userId: body.user.id, sessionId: body.session.id });
    return Response.json({ ...body, accessToken }, { status: 201 });
  };

  refreshes(): number {
    return this.sent.filter((path) => path.endsWith("/refresh")).length;
  }

  [Symbol.dispose](): void {
    for (const tab of this.#tabs) tab.close();
  }
}

const person = (username: string) => ({ email: `${username}@example.com`, username, password: PASSWORD });
const statusOf = async (tab: AuthClient): Promise<number> => (await tab.fetch("/api/users/me")).status;

describe("tabs of one browser", () => {
  it("refresh once between them, however many find their token expired at once", async () => {
    using browser = new Browser();
    const tabs = Array.from({ length: TABS }, () => browser.tab());
    await tabs[0]?.register(person("ann"));
    expect(browser.cookie).toMatch(/^refresh=/);

    expect(await Promise.all(tabs.map(statusOf))).toEqual(tabs.map(() => 200));
    expect(browser.refreshes()).toBe(1);
    expect(await statusOf(browser.tab())).toBe(200);
    expect(browser.refreshes()).toBe(1);
  });

  it("each get a token all the same without locks and channel", async () => {
    using browser = new Browser();
    const tabs = Array.from({ length: TABS }, () => browser.tab("cookie", true));
    await tabs[0]?.register(person("bob"));

    expect(await Promise.all(tabs.map(statusOf))).toEqual(tabs.map(() => 200));
    expect(browser.refreshes()).toBe(TABS);
    expect(await Promise.all(tabs.map(statusOf))).toEqual(tabs.map(() => 200));
  });

  it("all hear of a logout, after which nothing of the session is left", async () => {
    using browser = new Browser();
    const [one, other] = [browser.tab(), browser.tab()];
    await one.register(person("carl"));
    expect([await statusOf(one), await statusOf(other)]).toEqual([200, 200]);

    await one.logout();
    await until(() => !other.isSignedIn(), { what: "the other tab" });
    expect([browser.cookie, browser.store.size, one.isSignedIn()]).toEqual([undefined, 0, false]);
    expect(await statusOf(other)).toBe(401);
  });

  it("are signed out when the session was ended elsewhere", async () => {
    using browser = new Browser();
    const [one, other] = [browser.tab(), browser.tab()];
    await one.register(person("dora"));
    await statusOf(one);
    const elsewhere = new Browser().tab("memory");
    await elsewhere.login({ emailOrUsername: "dora", password: PASSWORD });
    expect((await elsewhere.fetch("/api/auth/logout-all", { method: "POST" })).status).toBe(200);

    expect(await statusOf(one)).toBe(401);
    await until(() => !other.isSignedIn(), { what: "the other tab" });
  });
});

describe("one tab", () => {
  it("keeps the refresh token to itself in memory mode, and refreshes once for many requests", async () => {
    using browser = new Browser();
    const tab = browser.tab("memory");
    const told = await tab.register(person("emil"));
    expect(JSON.stringify(told)).not.toMatch(/(access|refresh|csrf)Token/);

    expect(await Promise.all(Array.from({ length: 5 }, () => statusOf(tab)))).toEqual([200, 200, 200, 200, 200]);
    expect([browser.refreshes(), browser.cookie, browser.store.size]).toEqual([1, undefined, 0]);
    await tab.logout();
    expect(await statusOf(tab)).toBe(401);
  });

  it("sends its token nowhere else", async () => {
    using browser = new Browser();
    const tab = browser.tab("memory");
    await tab.register(person("finn"));
    const before = browser.sent.length;
    for (const path of ["https://evil.test/api", "//evil.test/api", "\\\\evil.test/api"])
      await expect(tab.fetch(path)).rejects.toBeInstanceOf(TypeError);
    expect(browser.sent.length).toBe(before);
  });

  it("tells refusals by their code", async () => {
    using browser = new Browser();
    const tab = browser.tab();
    const refusalOf = async (work: Promise<unknown>): Promise<unknown> =>
      await work.catch((error: unknown) => (error instanceof AuthProblem ? [error.status, error.document.code] : error));
    expect(await refusalOf(tab.login({ emailOrUsername: "nobody", password: PASSWORD }))).toEqual([401, "credentials.invalid"]);
    expect(await refusalOf(tab.answerChallenge({ challenge: "none", code: "123456" }))).toEqual([401, "mfa.challenge_invalid"]);
    expect(tab.isSignedIn()).toBe(false);
  });
});

describeWith("chromium", "in a real browser", (chromium) => {
  it("ten tabs refresh once, by a cookie that no script sees; a page loaded anew goes on; logging out leaves nothing", async () => {
    await using site = await serveAuthSite({ port: ports.page, apiUrl: baseUrl, expired, together: TABS });
    const profile = await mkdtemp(join(runFolder(), "chromium-"));
    const flags = [
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--disable-popup-blocking",
      "--no-first-run",
    ];
    await using browser = await startProgram({
      command: chromium,
      args: [...flags, `--user-data-dir=${profile}`, site.url],
      ownGroup: true,
    });

    await until(() => site.reports.length > TABS, { withinMs: 45_000, what: "what the pages found" }).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${JSON.stringify(site.reports)}; the browser says: ${browser.output}`, { cause: error });
    });
    const { reports } = site;

    const [later, tabs] = [reports.find(({ page }) => page === "/later"), reports.filter(({ page }) => page !== "/later")];
    expect(reports.filter(({ error }) => error !== undefined)).toEqual([]);
    expect(tabs.map(({ status, username, cookie }) => [status, username, cookie])).toEqual(tabs.map(() => [200, "page", ""]));
    expect(tabs.reduce((sum, { refreshes }) => sum + refreshes, 0)).toBe(1);
    expect(later).toMatchObject({ refreshes: 1, status: 200, left: true, stored: 0, without: 400 });
  }, 60_000);
});
