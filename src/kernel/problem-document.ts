/** The one shape in which a `Problem` leaves: the members of RFC 9457 with ours, the same over REST, GraphQL and sockets. */

import type { InputError, Problem, ProblemType } from "./problem.ts";

export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail?: string;
  readonly errors?: readonly InputError[];
  readonly retryAfterSeconds?: number;
  /** Members documented with the code, e.g. `restriction`. */
  readonly [member: string]: unknown;
}

/** The `type` of a problem: a name, not an address, so nothing has to be fetched to understand it. */
export function problemUri(type: ProblemType): string {
  return `urn:videamozi:problem:${type.code}`;
}

/** A problem as data. */
export function problemDocument(problem: Problem): ProblemDocument {
  const { type, details } = problem;
  return {
    ...details.extensions,
    type: problemUri(type),
    title: type.title,
    status: type.status,
    code: type.code,
    ...(details.detail === undefined ? {} : { detail: details.detail }),
    ...(details.errors === undefined ? {} : { errors: details.errors }),
    ...(details.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: details.retryAfterSeconds }),
  };
}
