/** The one way to refuse: a catalogue entry (stable code, status, title) thrown as a `Problem` (RFC 9457). */

/** An entry of the error catalogue. `code` is `<noun>.<snake_case>` and never changes its meaning. */
export interface ProblemType {
  readonly code: string;
  readonly status: number;
  readonly title: string;
}

/** One wrong input: where (`["body", "email"]`) and what would be right. */
export interface InputError {
  readonly path: string;
  readonly message: string;
}

/** What a refusal may carry beyond its type. Never input, SQL or ids of other people. */
export interface ProblemDetails {
  readonly detail?: string;
  readonly errors?: readonly InputError[];
  /** Sent as `Retry-After`, rounded up. */
  readonly retryAfterSeconds?: number;
  /** More members of the problem document, documented with the code. */
  readonly extensions?: Readonly<Record<string, unknown>>;
  /** More response headers, e.g. `RateLimit-*`. */
  readonly headers?: Readonly<Record<string, string>>;
}

const catalogue = new Map<string, ProblemType>();

/** Adds an entry to the catalogue. @throws Error when the code is taken: codes are unique across the service. */
export function problem(code: string, status: number, title: string): ProblemType {
  if (catalogue.has(code)) throw new Error(`problem code ${code} is defined twice`);
  const entry = { code, status, title };
  catalogue.set(code, entry);
  return entry;
}

/** Every code that has been defined, for the documents and the tests that hold them complete. */
export function problemCatalogue(): readonly ProblemType[] {
  return [...catalogue.values()];
}

/** An expected refusal. Thrown in a transaction it rolls back; at an edge it becomes problem+json, `extensions.code` or an ack error. */
export class Problem extends Error {
  readonly type: ProblemType;
  readonly details: ProblemDetails;

  constructor(type: ProblemType, details: ProblemDetails = {}) {
    super(details.detail ?? type.title);
    this.name = "Problem";
    this.type = type;
    this.details = details;
  }

  /** The stable code, for tests and switches. */
  get code(): string {
    return this.type.code;
  }
}

export const inputInvalid = problem("input.invalid", 400, "The request is not as documented");
export const serviceBusy = problem("service.busy", 503, "The service cannot answer just now");
export const internalError = problem("service.internal_error", 500, "Something went wrong on our side");
