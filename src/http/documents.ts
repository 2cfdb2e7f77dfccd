/** What describes us to people and tools: `/openapi.json`, `/asyncapi.json`, and Swagger UI at `/docs` from files of our own machine. */

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import swaggerFolder from "swagger-ui-dist/absolute-path.js";
import { Problem } from "#src/kernel/problem";
import type { Exchange, Sending } from "./exchange.ts";
import { routeNotFound } from "./http.errors.ts";
import type { Entry } from "./route-table.ts";

export interface Documents {
  readonly openApi: object;
  readonly asyncApi: object | undefined;
  /** Security headers of a page, flat. */
  readonly pageHeaders: readonly string[];
}

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>User Service API</title>
    <link rel="stylesheet" href="/docs/swagger-ui.css">
    <link rel="icon" href="/docs/favicon-32x32.png">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
`;

// validatorUrl: null, because the page must work offline and tell nobody outside of our address.
const START = `SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null, persistAuthorization: false });
`;

/** The files of swagger-ui-dist that the page needs. Read when asked for: kept in memory they would cost 2 MB. */
const FILES: Readonly<Record<string, string>> = {
  "swagger-ui.css": "text/css; charset=utf-8",
  "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
  "favicon-32x32.png": "image/png",
};

type Served = (exchange: Exchange, params: Readonly<Record<string, string>>) => Promise<void>;

/** Entries of the documents that there are. */
export function documentEntries({ openApi, asyncApi, pageHeaders }: Documents): Entry<Served>[] {
  const entry = (path: string, served: Served): Entry<Served> => ({
    methods: ["GET"],
    path,
    served: async (exchange, params) => {
      exchange.routePath = path;
      await served(exchange, params);
    },
  });
  const fixed = (path: string, type: string, text: string): Entry<Served> => {
    const etag = `"${createHash("sha256").update(text).digest("base64url").slice(0, 22)}"`;
    return entry(path, async (exchange) => sendCached(exchange, { type, body: text, security: pageHeaders }, etag));
  };
  return [
    fixed("/openapi.json", "application/json", JSON.stringify(openApi)),
    ...(asyncApi === undefined ? [] : [fixed("/asyncapi.json", "application/json", JSON.stringify(asyncApi))]),
    fixed("/docs", "text/html; charset=utf-8", PAGE),
    fixed("/docs/start.js", "text/javascript; charset=utf-8", START),
    entry("/docs/:file", async (exchange, { file = "" }) => {
      const type = Object.hasOwn(FILES, file) ? FILES[file] : undefined;
      if (type === undefined) throw new Problem(routeNotFound);
      const body = await readFile(join(swaggerFolder(), file));
      const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
      sendCached(exchange, { type, body, security: pageHeaders }, etag);
    }),
  ];
}

/** `no-cache` makes browsers ask each time; an unchanged document is then a 304. */
function sendCached(exchange: Exchange, sending: Omit<Sending, "status" | "headers">, etag: string): void {
  const headers = ["ETag", etag, "Cache-Control", "no-cache"];
  const { security } = sending;
  if (exchange.request.headers["if-none-match"] === etag)
    exchange.send({ status: 304, headers, ...(security !== undefined && { security }) });
  else exchange.send({ ...sending, status: 200, headers });
}
