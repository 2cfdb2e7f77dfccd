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
  const flat = Object.entries(headers).flat();
  return retryAfterSeconds === undefined ? flat : [...flat, "Retry-After", String(Math.max(1, Math.ceil(retryAfterSeconds)))];
}
