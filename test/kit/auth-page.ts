/** A web site of the test's own whose pages use `src/browser-client`, for a real browser; and what its pages report. */

import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { transform } from "@swc/core";

/** What a page found. */
export interface PageReport {
  readonly page: string;
  readonly refreshes: number;
  readonly error?: string;
  readonly [name: string]: unknown;
}

export interface AuthSite extends AsyncDisposable {
  readonly url: string;
  /** What pages have reported up to now. */
  readonly reports: readonly PageReport[];
}

export interface AuthSiteOptions {
  readonly port: number;
  readonly apiUrl: string;
  /** An access token of this session that has expired already. */
  readonly expired: (session: { readonly userId: string; readonly sessionId: string }) => string;
  /** How many pages wait for each other before they go on. */
  readonly together: number;
}

/** Serves the page and the module at http://localhost. */
export async function serveAuthSite(options: AuthSiteOptions): Promise<AuthSite> {
  const source = await readFile(new URL("../../src/browser-client/auth-client.ts", import.meta.url), "utf8");
  const module = await transform(source, { jsc: { parser: { syntax: "typescript" }, target: "es2022" } });
  const reports: PageReport[] = [];
  let arrived = 0;
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url ?? "/";
    if (path === "/auth-client.js") return void response.setHeader("Content-Type", "text/javascript").end(module.code);
    if (request.method === "GET") return void response.setHeader("Content-Type", "text/html").end(page(options));
    const sent = JSON.parse((await text(request)) || "{}") as PageReport & { userId: string; sessionId: string };
    if (path === "/expired") return void response.end(options.expired(sent));
    if (path === "/report") reports.push(sent);
    if (path === "/arrive") arrived += 1;
    response.end(arrived >= options.together ? "all" : "some");
  };
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(options.port, "localhost", resolve));
  return {
    url: `http://localhost:${options.port}/`,
    reports,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const page = ({ apiUrl, together }: AuthSiteOptions): string => `<!doctype html><meta charset="utf-8"><title>page</title>
<script type="module">
import { createAuthClient } from "/auth-client.js";
let refreshes = 0;
const post = (path, body) => fetch(path, { method: "POST", body: JSON.stringify(body) });
// Counts refreshes, and makes the access token of a registration one that has expired.
const counting = async (url, init) => {
  const response = await fetch(url, init);
  if (String(url).endsWith("/refresh")) refreshes += 1;
  if (!String(url).endsWith("/register") || !response.ok) return response;
  const body = await response.json();
  const accessToken = await (await post("/expired", { userId: body.user.id, sessionId: body.session.id })).text();
  return new Response(JSON.stringify({ ...body, accessToken }), { status: 201, headers: { "Content-Type": "application/json" } });
};
// Asked again and again: a browser has six connections to one address, too few for ten pages that wait.
const together = async () => {
  await post("/arrive");
  while ((await (await post("/arrived")).text()) !== "all") await new Promise((resolve) => setTimeout(resolve, 20));
};
const options = { baseUrl: "${apiUrl}", storage: "cookie", fetch: counting };
const client = createAuthClient(options);
const report = (found) => post("/report", { page: location.pathname, refreshes, ...found });
try {
  if (location.pathname === "/") {
    const { user } = await client.register({ email: "page@example.com", username: "page", password: "correct horse battery" });
    for (let tab = 1; tab < ${together}; tab += 1) window.open("/tab", "_blank", "noopener");
    await together();
    const me = await client.fetch("/api/users/me");
    await report({ status: me.status, username: (await me.json()).username, cookie: document.cookie });
    // As a page that was loaded anew, with nobody to ask.
    client.close();
    refreshes = 0;
    const later = createAuthClient({ ...options, channel: undefined });
    const again = await later.fetch("/api/users/me");
    await later.logout();
    const without = await fetch("${apiUrl}/api/auth/refresh", { method: "POST", credentials: "include" });
    history.replaceState(null, "", "/later");
    await report({ status: again.status, left: !later.isSignedIn(), stored: localStorage.length, without: without.status });
  } else {
    await together();
    const me = await client.fetch("/api/users/me");
    await report({ status: me.status, username: (await me.json()).username, cookie: document.cookie });
  }
} catch (error) {
  await report({ error: String(error?.stack ?? error) });
}
</script>`;
