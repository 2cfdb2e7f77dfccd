/** A collector of traces for tests: takes what an exporter sends over OTLP/HTTP in protobuf, and shows the spans. */

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { readTraces, type CollectedSpan } from "./otlp-spans.ts";
import { until } from "./until.ts";

/** How the collector treats what comes. `hang` leaves it without an answer for as long as it hangs, and refuses it then. */
export type CollectorMood = "take" | "refuse" | "hang";

/** A collector that listens. */
export interface OtlpCollector extends AsyncDisposable {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly url: string;
  /** For OTEL_EXPORTER_OTLP_TRACES_ENDPOINT. */
  readonly tracesUrl: string;
  /** Spans taken so far, in the order they came. */
  readonly spans: readonly CollectedSpan[];
  /** Headers of each request, also of refused ones. */
  readonly requests: readonly IncomingMessage["headers"][];
  readonly be: (mood: CollectorMood) => void;
  /** The one span that fits, once it has come. @throws Error when none comes, naming those that did */
  readonly span: (what: string, fits: (span: CollectedSpan) => boolean) => Promise<CollectedSpan>;
}

/** Starts one on a free port of 127.0.0.1. */
export async function startOtlpCollector(): Promise<OtlpCollector> {
  const spans: CollectedSpan[] = [];
  const requests: IncomingMessage["headers"][] = [];
  const hanging: ServerResponse[] = [];
  let mood: CollectorMood = "take";
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    requests.push(request.headers);
    if (mood === "hang") {
      hanging.push(response);
      return;
    }
    const isTraces =
      request.method === "POST" && request.url === "/v1/traces" && request.headers["content-type"] === "application/x-protobuf";
    if (mood === "take" && isTraces) spans.push(...readTraces(Buffer.concat(chunks)));
    // 400 is not tried again by an exporter; 503 is, for a while.
    response.writeHead(mood === "take" && isTraces ? 200 : 400, { "Content-Type": "application/x-protobuf" }).end();
  };
  const server = createServer((request, response) => void serve(request, response).catch(() => response.destroy()));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    tracesUrl: `${url}/v1/traces`,
    spans,
    requests,
    be: (next) => {
      mood = next;
      if (next !== "hang") for (const response of hanging.splice(0)) response.writeHead(400).end();
    },
    span: async (what, fits) => await until(() => spans.find(fits), { what: `the span of ${what}` }).catch(namingSpans(spans)),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function namingSpans(spans: readonly CollectedSpan[]): (error: unknown) => never {
  return (cause) => {
    const seen = spans.map((span) => `${span.service}: ${span.kind} ${span.name}`).join("\n  ");
    throw new Error(`${String(cause)}; spans:\n  ${seen}`, { cause });
  };
}
