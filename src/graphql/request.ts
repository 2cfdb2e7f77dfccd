/** Reads a GraphQL request off the wire and refuses what is none, before anything parses a document. */

import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import rawBody from "raw-body";
import { z } from "zod";
import { findUnsafeText } from "#src/kernel/unsafe-text";
import { inputInvalid, Problem } from "#src/kernel/problem";
import { batchRefused, bodyTooLarge, hashMismatch, methodNotAllowed, requestInvalid, unsupportedMediaType } from "./graphql.errors.ts";
import { documentHash } from "./manifest.ts";

/** One operation as asked for. What Apollo reads later from the same request is the same. */
export interface GraphqlRequest {
  readonly method: "GET" | "POST";
  /** Undefined where only its hash is given. */
  readonly query: string | undefined;
  /** SHA-256 of the document; where both are given, it is right. */
  readonly hash: string | undefined;
  /** The parsed body of a POST, for Apollo. */
  readonly body: Readonly<Record<string, unknown>> | undefined;
}

const BODY_LIMIT_BYTES = 64 * 1024;
const requestMembers = z.strictObject({
  query: z.string().min(1).optional(),
  operationName: z.string().nullish(),
  variables: z.record(z.string(), z.unknown()).nullish(),
  extensions: z.record(z.string(), z.unknown()).nullish(),
});

/** Apollo's automatic persisted queries. */
const persistedQuery = z.object({
  version: z.literal(1),
  sha256Hash: z.string().regex(/^[0-9a-f]{64}$/, "must be a SHA-256 in lower-case hexadecimal"),
});

/**
 * @throws Problem `graphql.method_not_allowed`, `graphql.unsupported_media_type`, `graphql.body_too_large`,
 *   `graphql.request_invalid`, `graphql.hash_mismatch`, `graphql.batch_refused`, `input.invalid`
 */
export async function readGraphqlRequest(request: IncomingMessage): Promise<GraphqlRequest> {
  if (request.method === "GET") return fromMembers("GET", membersOfSearch(new URL(request.url ?? "/", "http://localhost").searchParams));
  if (request.method === "POST") return fromMembers("POST", membersOfBody(await bodyOf(request)));
  throw new Problem(methodNotAllowed, { headers: { Allow: "GET, POST" } });
}

/** One operation as asked for, however it came. */
export interface Operation extends Pick<GraphqlRequest, "query" | "hash"> {
  readonly operationName: string | null | undefined;
  readonly variables: Readonly<Record<string, unknown>> | null | undefined;
}

/** @throws Problem `graphql.request_invalid`, `graphql.hash_mismatch`, `input.invalid` */
export function readOperation(given: unknown): Operation {
  const { query, operationName, variables, extensions } = parsed(requestMembers, given, "request");
  const unsafe = findUnsafeText(given, "request");
  if (unsafe !== undefined) throw new Problem(inputInvalid, { errors: [unsafe] });
  const hash = hashIn(extensions);
  if (query === undefined && hash === undefined) {
    throw new Problem(requestInvalid, { errors: [{ path: "request.query", message: "is missing, and so is its hash" }] });
  }
  if (query !== undefined && hash !== undefined && documentHash(query) !== hash) throw new Problem(hashMismatch);
  return { query, hash, operationName, variables };
}

/** The token of an `Authorization` header. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return authorization === undefined ? undefined : /^Bearer ([^\s]+)$/i.exec(authorization)?.[1];
}

function fromMembers(method: "GET" | "POST", given: Readonly<Record<string, unknown>>): GraphqlRequest {
  const { query, hash } = readOperation(given);
  return { method, query, hash, body: method === "POST" ? given : undefined };
}

function parsed<Schema extends z.ZodType>(schema: Schema, given: unknown, at: string): z.infer<Schema> {
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const errors = result.error.issues.map((issue) => ({ path: [at, ...issue.path].map(String).join("."), message: issue.message }));
  throw new Problem(requestInvalid, { errors });
}

function hashIn(extensions: Readonly<Record<string, unknown>> | null | undefined): string | undefined {
  if (!isObject(extensions) || !Object.hasOwn(extensions, "persistedQuery")) return undefined;
  return parsed(persistedQuery, extensions["persistedQuery"], "request.extensions.persistedQuery").sha256Hash;
}

function invalid(detail: string): Problem {
  return new Problem(requestInvalid, { detail });
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function membersOfSearch(search: URLSearchParams): Record<string, unknown> {
  const members: Record<string, unknown> = {};
  for (const name of search.keys()) {
    if (search.getAll(name).length > 1) throw invalid("repeats a query parameter");
    const text = search.get(name) ?? "";
    members[name] = name === "variables" || name === "extensions" ? parseJson(text) : text;
  }
  return members;
}

function membersOfBody(text: string): Readonly<Record<string, unknown>> {
  const body = parseJson(text);
  if (Array.isArray(body)) throw new Problem(batchRefused);
  if (!isObject(body)) throw invalid("must be a JSON object");
  return body;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    if (error instanceof SyntaxError) throw invalid("is not valid JSON");
    throw error;
  }
}

// Only UTF-8: a decoder chosen by the caller's charset cost @apollo/server a denial of service (CVE-2026-23897).
const MEDIA_TYPE = /^application\/json\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?$/i;

async function bodyOf(request: IncomingMessage): Promise<string> {
  const { "content-type": type = "", "content-encoding": encoding, "content-length": length } = request.headers;
  if (type.length > 100 || !MEDIA_TYPE.test(type) || (encoding !== undefined && encoding !== "identity"))
    throw new Problem(unsupportedMediaType);
  const bytes = await bytesOf(request, length);
  if (!isUtf8(bytes)) throw invalid("is not valid UTF-8");
  return bytes.toString("utf8");
}

async function bytesOf(request: IncomingMessage, length: string | undefined): Promise<Buffer> {
  try {
    return await rawBody(request, { limit: BODY_LIMIT_BYTES, ...(length === undefined ? {} : { length }) });
  } catch (error) {
    const type = error instanceof Error && "type" in error ? error.type : undefined;
    if (type === "entity.too.large") {
      await throwAwayRest(request);
      throw new Problem(bodyTooLarge, { headers: { Connection: "close" } });
    }
    if (type === "request.aborted" || type === "request.size.invalid") throw invalid("ended early");
    throw error;
  }
}

/** How long what a refused client still sends is thrown away, in ms. */
const LINGER_MS = 1_000;

/** Closing with unread bytes would reset the connection, and the client would lose the refusal. */
function throwAwayRest(request: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(done, LINGER_MS);
    request.once("end", done).once("close", done).resume();
  });
}
