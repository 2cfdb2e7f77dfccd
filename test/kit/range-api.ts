/** A range API of breached passwords on loopback, that answers as the test says. */

import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Answers one question. */
type RangeAnswer = (response: ServerResponse, prefix: string) => void | Promise<void>;

export interface RangeApi extends AsyncDisposable {
  /** Base URL, as BREACHED_PASSWORDS_URL has it. */
  readonly url: string;
  /** Method, path, headers that matter and body of each question so far. */
  readonly asked: readonly { readonly method: string; readonly path: string; readonly padding: string; readonly body: string }[];
  answer: RangeAnswer;
}

/** The 40 hex digits of a password, as the API has them. */
export function sha1Of(password: string): string {
  return createHash("sha1").update(password).digest("hex").toUpperCase();
}

/** What the API says of passwords that leaked so many times, among lines of padding. */
export function leaked(counts: Readonly<Record<string, number>>): RangeAnswer {
  return (response, prefix) => {
    const lines = Object.entries(counts).map(([password, count]) => [sha1Of(password), count] as const);
    const own = lines.filter(([hash]) => hash.startsWith(prefix)).map(([hash, count]) => `${hash.slice(5)}:${count}`);
    const padding = Array.from({ length: 20 }, (_, index) => `${sha1Of(`padding ${index}`).slice(5)}:0`);
    response.end([...padding.slice(0, 10), ...own, ...padding.slice(10)].join("\r\n"));
  };
}

/** Starts one where nothing has leaked. */
export async function startRangeApi(): Promise<RangeApi> {
  const asked: RangeApi["asked"][number][] = [];
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let body = "";
    for await (const chunk of request as AsyncIterable<Buffer>) body += chunk.toString();
    const { method = "", url: path = "", headers } = request;
    asked.push({ method, path, padding: String(headers["add-padding"]), body });
    await api.answer(response, path.split("/").at(-1) ?? "");
  };
  const server = createServer((request, response) => void serve(request, response).catch(() => response.destroy()));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const api: RangeApi = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/range`,
    asked,
    answer: leaked({}),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return api;
}
