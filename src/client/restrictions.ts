/** Typed client of declared restrictions (`/internal/restrictions`), for the app that declares them. Ships alone: needs the contract and a way to call. */

import { z } from "zod";
import {
  DECLARATION_CODES,
  declarationAnswer,
  declaredPage,
  declaredRestriction,
  type DeclarationAnswer,
  type DeclaredRestriction,
  type RestrictionEnd,
  type RestrictionWish,
} from "../contract/external-restrictions.ts";

/** Calls an app by its id, as the sidecar port does: an answer is an answer whatever its status, what got none is thrown. */
export type Invoke = (
  appId: string,
  request: {
    readonly method: "GET" | "PUT" | "DELETE";
    readonly path: string;
    readonly body?: unknown;
    readonly traceparent?: string;
  },
  signal: AbortSignal,
) => Promise<{ readonly status: number; readonly body: unknown }>;

/** Why the service said no. Each is final until the wish or the account changes. */
export type RefusalCode = Exclude<(typeof DECLARATION_CODES)[keyof typeof DECLARATION_CODES], "restriction.foreign_source">;

/**
 * What became of a call. `unreachable` is everything that is no answer of the contract: no connection, a time-out, a 500, a
 * refusal of the mesh, garbage. The same call is to be repeated then; `error` is short and holds nothing the other side said.
 */
export type Outcome<Answer> =
  | { readonly kind: "answer"; readonly answer: Answer }
  | { readonly kind: "refused"; readonly code: RefusalCode; readonly detail: string }
  | { readonly kind: "unreachable"; readonly error: string };

/** One source's declarations. Every call is idempotent and fenced by the service. */
export interface RestrictionsApi {
  readonly put: (externalId: string, wish: RestrictionWish, call: Call) => Promise<Outcome<DeclarationAnswer>>;
  /** Says that the incarnation has ended; what it imposed is lifted or kept, as `end.policy` says. */
  readonly end: (externalId: string, end: RestrictionEnd, call: Call) => Promise<Outcome<DeclarationAnswer>>;
  /** How it stands, or how its last incarnation ended. */
  readonly get: (externalId: string, call: Call) => Promise<Outcome<DeclaredRestriction>>;
  /** All that have not ended, by external id. */
  readonly list: (call: Call) => Promise<Outcome<readonly DeclaredRestriction[]>>;
}

/** The circumstances of a call. */
export interface Call {
  /** Ends the call early. */
  readonly signal: AbortSignal;
  /** W3C trace context of what causes it. */
  readonly traceparent?: string | undefined;
}

export interface RestrictionsApiOptions {
  readonly invoke: Invoke;
  /** Of the service: `user-service`. */
  readonly appId: string;
  /** Of the declarations: `kubernetes`. */
  readonly source: string;
  /** Deadline of one call. */
  readonly timeoutMs: number;
}

const PAGE = 500;
const LATE = new Error("no answer in time");
const LONGEST_TEXT = 500;

const problemBody = z.object({
  code: z.enum(DECLARATION_CODES),
  title: z.string().optional(),
  detail: z.string().optional(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});

/** Makes the client. It keeps no state. */
export function createRestrictionsApi(options: RestrictionsApiOptions): RestrictionsApi {
  const base = `internal/restrictions/${encodeURIComponent(options.source)}`;
  const one = (externalId: string): string => `${base}/${encodeURIComponent(externalId).replaceAll("%3A", ":")}`;
  return {
    put: (externalId, wish, call) => ask(options, { method: "PUT", path: one(externalId), body: wish, schema: declarationAnswer }, call),
    end: (externalId, end, call) => ask(options, { method: "DELETE", path: one(externalId), body: end, schema: declarationAnswer }, call),
    get: (externalId, call) => ask(options, { method: "GET", path: one(externalId), schema: declaredRestriction }, call),
    list: (call) => listAll(options, base, call),
  };
}

async function listAll(options: RestrictionsApiOptions, base: string, call: Call): Promise<Outcome<readonly DeclaredRestriction[]>> {
  const all: DeclaredRestriction[] = [];
  let after = "";
  for (;;) {
    const query = after === "" ? `limit=${PAGE}` : `limit=${PAGE}&after=${encodeURIComponent(after)}`;
    const page = await ask(options, { method: "GET", path: `${base}?${query}`, schema: declaredPage }, call);
    if (page.kind !== "answer") return page;
    all.push(...page.answer.data);
    const next = page.answer.nextAfter;
    if (next === null) return { kind: "answer", answer: all };
    // Ids grow from page to page; a service that repeats itself must not be asked for ever.
    if (next <= after) return { kind: "unreachable", error: "the pages of the list do not go on" };
    after = next;
  }
}

interface Request<Answer> {
  readonly method: "GET" | "PUT" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
  readonly schema: z.ZodType<Answer>;
}

async function ask<Answer>(options: RestrictionsApiOptions, request: Request<Answer>, call: Call): Promise<Outcome<Answer>> {
  const { method, path, body } = request;
  const { traceparent } = call;
  // Not AbortSignal.timeout with AbortSignal.any: those live on for the whole time-out, and thousands of calls with them.
  const limit = new AbortController();
  const stop = (): void => limit.abort(call.signal.reason);
  const timer = setTimeout(() => limit.abort(LATE), options.timeoutMs);
  call.signal.addEventListener("abort", stop, { once: true });
  if (call.signal.aborted) stop();
  try {
    const { status, body: answer } = await options.invoke(
      options.appId,
      { method, path, ...(body === undefined ? {} : { body }), ...(traceparent === undefined ? {} : { traceparent }) },
      limit.signal,
    );
    return read(status, answer, request.schema);
  } catch (error) {
    if (limit.signal.reason === LATE) return { kind: "unreachable", error: "no answer in time" };
    return { kind: "unreachable", error: `could not be reached (${nameOf(error)})` };
  } finally {
    clearTimeout(timer);
    call.signal.removeEventListener("abort", stop);
  }
}

function read<Answer>(status: number, body: unknown, schema: z.ZodType<Answer>): Outcome<Answer> {
  if (status >= 200 && status < 300) {
    const parsed = schema.safeParse(body);
    return parsed.success
      ? { kind: "answer", answer: parsed.data }
      : { kind: "unreachable", error: `answered ${status} with something that is not of the contract` };
  }
  const problem = status >= 400 && status < 500 ? problemBody.safeParse(body).data : undefined;
  // A 403 or 404 without one of our codes is the mesh's or a proxy's, and says nothing about the wish.
  if (problem === undefined) return { kind: "unreachable", error: `answered ${status}` };
  // Nor does this one: somebody set the service or the app up wrongly.
  if (problem.code === DECLARATION_CODES.foreignSource)
    return { kind: "unreachable", error: "does not let this app declare for that source" };
  const errors = (problem.errors ?? []).map(({ path, message }) => `${path}: ${message}`);
  const detail = [problem.detail ?? problem.title ?? problem.code, ...errors].join("; ");
  return { kind: "refused", code: problem.code, detail: detail.slice(0, LONGEST_TEXT) };
}

/** What kind of failure it was: a code where there is one, or why a sidecar refused. Messages may hold addresses. */
function nameOf(error: unknown): string {
  if (error instanceof Error && "reason" in error && typeof error.reason === "string" && /^[a-z-]{1,40}$/.test(error.reason))
    return `${error.name}: ${error.reason}`;
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if ("code" in at && typeof at.code === "string" && /^[A-Z][A-Z0-9_]{2,40}$/.test(at.code)) return at.code;
  }
  return error instanceof Error ? error.name : "unknown";
}
