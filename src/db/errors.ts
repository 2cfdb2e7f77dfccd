/** What PostgreSQL and pg say when something fails, sorted by what we do about it. */

import { Problem, serviceBusy } from "#src/kernel/problem";

interface PgError {
  readonly code?: unknown;
  readonly constraint?: unknown;
  readonly message?: unknown;
}

/** By shape, not by class: errors of Node itself are of another realm where code runs in a context of its own. */
function asPgError(error: unknown): PgError {
  return typeof error === "object" && error !== null ? error : {};
}

function codeOf(error: unknown): string | undefined {
  const { code } = asPgError(error);
  return typeof code === "string" ? code : undefined;
}

/** Whether the statement broke this unique constraint or index. */
export function isUniqueViolation(error: unknown, constraint: string): boolean {
  return codeOf(error) === "23505" && asPgError(error).constraint === constraint;
}

/** Serialization failure or deadlock: the transaction did nothing and may be repeated. */
export function isRetryable(error: unknown): boolean {
  const code = codeOf(error);
  return code === "40001" || code === "40P01";
}

const LOST = new Set([
  "25006",
  "57P01",
  "57P02",
  "57P03",
  "57P05",
  "53300",
  "25P03",
  "25P04",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EPIPE",
  "ETIMEDOUT",
  "ENOENT",
]);
const LOST_TEXT =
  /Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error|Client was closed|not queryable/;

/** The connection is gone, cannot be had, or its server can take no writes: discard it; what it was doing may or may not have happened. */
export function isConnectionLoss(error: unknown): boolean {
  const code = codeOf(error);
  if (code !== undefined && (LOST.has(code) || code.startsWith("08"))) return true;
  const { message } = asPgError(error);
  return typeof message === "string" && LOST_TEXT.test(message);
}

/** A statement ran into its time-out, or was cancelled. */
export function isStatementTimeout(error: unknown): boolean {
  return codeOf(error) === "57014";
}

/** A statement or lock ran into its time-out. */
function isTimeout(error: unknown): boolean {
  return isStatementTimeout(error) || codeOf(error) === "55P03";
}

/** Turns an outage into 503 with Retry-After and leaves everything else as it is. */
export function asProblem(error: unknown): unknown {
  if (isConnectionLoss(error) || isTimeout(error) || isRetryable(error)) {
    const busy = new Problem(serviceBusy, { detail: "The database cannot answer just now", retryAfterSeconds: 1 });
    busy.cause = error;
    return busy;
  }
  return error;
}
