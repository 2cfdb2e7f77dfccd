/** Deliveries of events: read whatever came, hand it on, and answer in words that daprd cannot take for something else. */

import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import readRaw from "raw-body";
import type { Exchange } from "./exchange.ts";

/** What became of a delivery, in daprd's words, which are case-sensitive. */
export type EventOutcome = "SUCCESS" | "RETRY" | "DROP";

/** Takes what came over the wire: parsed JSON, or the text where it is none. A rejection counts as RETRY. */
export type Deliver = (event: unknown) => Promise<EventOutcome>;

/** Finds what takes the events that come to a path. */
export type EventTable = (path: string) => Deliver | undefined;

/** Paths have a hidden part, so they are compared by their digests: a lookup that takes longer tells nothing of a path. */
export function eventTable(deliveries: () => ReadonlyMap<string, Deliver>): EventTable {
  let known: ReadonlyMap<string, Deliver> | undefined;
  let byDigest = new Map<string, Deliver>();
  return (path) => {
    const now = deliveries();
    if (now !== known) {
      known = now;
      byDigest = new Map([...now].map(([route, deliver]) => [digest(route), deliver]));
    }
    return byDigest.get(digest(path));
  };
}

function digest(path: string): string {
  return createHash("sha256").update(path).digest("base64");
}

/** Deeper JSON is handed on as text: whoever walks it must not run out of stack. */
const MAX_DEPTH = 64;

/**
 * The body of a delivery; `too-large` where it has more than `limitBytes`. Its type is not looked at: daprd sends one and the
 * same, and an event that is refused for a header would only come again.
 * @throws Error when it was cut short
 */
export async function readEvent(exchange: Exchange, limitBytes: number): Promise<{ readonly event: unknown } | "too-large"> {
  const bytes = await readBounded(exchange.request, limitBytes);
  if (bytes === "too-large") return bytes;
  const text = bytes.toString("utf8");
  try {
    const event: unknown = JSON.parse(text);
    return { event: isDeeper(event, MAX_DEPTH) ? text : event };
  } catch (error) {
    if (error instanceof SyntaxError) return { event: text };
    throw error;
  }
}

async function readBounded(request: IncomingMessage, limitBytes: number): Promise<Buffer | "too-large"> {
  try {
    return await readRaw(request, { limit: limitBytes, length: request.headers["content-length"] ?? null });
  } catch (error) {
    if (error instanceof Error && "type" in error && error.type === "entity.too.large") return "too-large";
    throw error;
  }
}

function isDeeper(value: unknown, limit: number): boolean {
  let level: readonly unknown[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    const inner = level.filter((one): one is object => typeof one === "object" && one !== null);
    if (depth === limit && inner.length > 0) return true;
    level = inner.flatMap((one): unknown[] => Object.values(one));
  }
  return false;
}

/** Always 200: of other statuses daprd takes 404 for DROP and the rest for RETRY, and a body it cannot read for SUCCESS. */
export function answerEvent(exchange: Exchange, status: EventOutcome): void {
  exchange.send({ status: 200, type: "application/json", body: JSON.stringify({ status }) });
}
