/** Reads a JSON body: bounded in bytes and depth, strictly UTF-8, and never longer than it must to refuse it. */

import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import readRaw from "raw-body";
import { UNCLEAN, isCleanText } from "#src/kernel/unsafe-text";
import { Problem, inputInvalid, type InputError } from "#src/kernel/problem";
import { bodyMalformed, bodyTooLarge, bodyTypeUnsupported } from "./http.errors.ts";

/** Largest body of any route, in bytes. */
export const MAX_BODY_BYTES = 64 * 1024;
/** Deepest nesting of arrays and objects. */
const MAX_DEPTH = 32;
/** How many wrong strings are listed at most. */
const MAX_ERRORS = 20;

/** Whether the head of the request announces a body. */
export function hasBody(request: IncomingMessage): boolean {
  return request.headers["transfer-encoding"] !== undefined || (request.headers["content-length"] ?? "0") !== "0";
}

/**
 * The body as JSON. Strings in it hold no NUL and no lone surrogate.
 * @throws Problem `body.type_unsupported`, `body.too_large`, `body.malformed`, `input.invalid`
 */
export async function readJsonBody(request: IncomingMessage): Promise<unknown> {
  requireJson(request);
  const length = request.headers["content-length"];
  const bytes = await readRaw(request, { limit: MAX_BODY_BYTES, length: length ?? null }).catch(refuseUnread);
  const text = decoded(bytes);
  const body = parsed(text);
  // Without an escape there is none of either: JSON allows no raw control character, and UTF-8 no lone surrogate.
  checkNesting(body, text.includes("\\u"));
  return body;
}

const JSON_TYPE = /^application\/json\s*(?:;\s*charset\s*=\s*"?utf-?8"?\s*)?;?\s*$/i;

function requireJson(request: IncomingMessage): void {
  const type = request.headers["content-type"];
  const encoding = request.headers["content-encoding"] ?? "identity";
  const fits = type !== undefined && type.length < 100 && JSON_TYPE.test(type);
  if (!fits || encoding.toLowerCase() !== "identity") throw new Problem(bodyTypeUnsupported);
}

function refuseUnread(error: unknown): never {
  const type = error instanceof Error && "type" in error ? error.type : undefined;
  if (type === "entity.too.large") throw new Problem(bodyTooLarge, { detail: `A body may have ${MAX_BODY_BYTES} bytes` });
  if (type === "request.aborted" || type === "request.size.invalid") throw new Problem(bodyMalformed, { detail: "The body is cut short" });
  if (error instanceof Error && "code" in error && error.code === "ECONNRESET") throw new Problem(bodyMalformed);
  throw error;
}

function decoded(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new Problem(bodyMalformed, { detail: "The body is not UTF-8" });
  const text = bytes.toString("utf8");
  return text.startsWith("\ufeff") ? text.slice(1) : text;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw new Problem(bodyMalformed);
    throw error;
  }
}

interface Node {
  readonly path: string;
  readonly value: unknown;
}

/** Walks breadth first without recursion, so that no nesting can exhaust the stack. */
function checkNesting(body: unknown, checkText: boolean): void {
  const errors: InputError[] = [];
  let level: readonly Node[] = [{ path: "body", value: body }];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (checkText) for (const node of level) errors.push(...unsoundTexts(node));
    if (depth === MAX_DEPTH && level.some(({ value }) => typeof value === "object" && value !== null)) {
      throw new Problem(bodyMalformed, { detail: `The body is nested deeper than ${MAX_DEPTH} levels` });
    }
    level = level.flatMap(childrenOf);
  }
  if (errors.length > 0) throw new Problem(inputInvalid, { errors: errors.slice(0, MAX_ERRORS) });
}

function childrenOf({ path, value }: Node): Node[] {
  if (Array.isArray(value)) return value.map((child: unknown, index) => ({ path: `${path}[${index}]`, value: child }));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).map(([key, child]) => ({ path: `${path}.${key}`, value: child as unknown }));
}

function unsoundTexts({ path, value }: Node): InputError[] {
  if (typeof value === "string") return isCleanText(value) ? [] : [{ path: isCleanText(path) ? path : "body", message: UNCLEAN }];
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
  return Object.keys(value)
    .filter((key) => !isCleanText(key))
    .map(() => ({ path: isCleanText(path) ? path : "body", message: `has a key that ${UNCLEAN}` }));
}
