/** What a listener answers before the process can serve: it lives, and is not ready. */

import type { RequestListener, ServerResponse } from "node:http";
import { problemUri } from "#src/kernel/problem-document";
import { serviceBusy } from "#src/kernel/problem";

/** `GET /health` is 200, `/health/ready` says `starting`, everything else is 503 with `Retry-After`. */
export const startingListener: RequestListener = (request, response) => {
  request.resume();
  if (request.url === "/health") return answer(response, 200, { status: "live" });
  if (request.url === "/health/ready") return answer(response, 503, { status: "not_ready", reason: "starting" });
  const { code, title, status } = serviceBusy;
  response.setHeader("Retry-After", "1");
  answer(response, status, { type: problemUri(serviceBusy), title, status, code, detail: "The service is starting" });
};

function answer(response: ServerResponse, status: number, body: Readonly<Record<string, unknown>>): void {
  const type = body["type"] === undefined ? "application/json" : "application/problem+json";
  response.writeHead(status, { "Content-Type": type, "Cache-Control": "no-store" }).end(JSON.stringify(body));
}
