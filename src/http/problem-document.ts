/** A `Problem` as it leaves: application/problem+json (RFC 9457). */

import { problemDocument, type ProblemDocument } from "#src/kernel/problem-document";
import type { Problem } from "#src/kernel/problem";

/** The document of a refusal, with the place asked for and the trace, both the caller's own. */
export function placedDocument(problem: Problem, place: { readonly instance: string; readonly traceId: string }): ProblemDocument {
  return { ...problemDocument(problem), ...place };
}

/** Headers of a refusal, flat: name, value, name, value. */
export function problemHeaders(problem: Problem): string[] {
  const { retryAfterSeconds, headers = {} } = problem.details;
  const flat = [...challenge(problem), ...Object.entries(headers).flat()];
  return retryAfterSeconds === undefined ? flat : [...flat, "Retry-After", String(Math.max(1, Math.ceil(retryAfterSeconds)))];
}

/** A token that is no good any more is told from none (RFC 9110, 15.5.2; RFC 6750, 3). The sidecar's is no bearer token. */
function challenge({ code, type: { status } }: Problem): readonly string[] {
  if (status !== 401 || code.startsWith("sidecar.")) return [];
  const isToken = (code.startsWith("token.") && code !== "token.missing") || code.startsWith("session.");
  return ["WWW-Authenticate", isToken ? 'Bearer error="invalid_token"' : "Bearer"];
}
