/** Errors as GraphQL clients see them: `extensions` of a refusal are its problem document, and of anything else nothing leaks. */

import { GraphQLError, type GraphQLFormattedError } from "graphql";
import type { Log } from "#src/kernel/log";
import { internalError, Problem, inputInvalid, type ProblemType } from "#src/kernel/problem";
import { problemDocument } from "#src/kernel/problem-document";
import { currentSpan, errorTypeOf } from "#src/kernel/trace";
import { csrfRefused, documentInvalid, mutationByGet, operationUnknown, requestInvalid, syntaxError } from "./graphql.errors.ts";

/** What Apollo itself refuses, by its code. */
const APOLLO_CODES: Readonly<Record<string, ProblemType>> = {
  GRAPHQL_PARSE_FAILED: syntaxError,
  GRAPHQL_VALIDATION_FAILED: documentInvalid,
  BAD_USER_INPUT: inputInvalid,
  OPERATION_RESOLUTION_FAILURE: operationUnknown,
  BAD_REQUEST: requestInvalid,
};

/** Not of our catalogue: clients know it by the protocol, and send the document along then. */
const HASH_UNKNOWN = "PERSISTED_QUERY_NOT_FOUND";

/** graphql-js' hints at names that are near. Apollo hides those of documents, and not those of variables. */
const HINT = / ?Did you mean [^]*$/;

/** One refusal as an entry of `errors`. */
export function problemError(problem: Problem): GraphQLFormattedError {
  const { title, detail, ...extensions } = problemDocument(problem);
  return { message: detail ?? title, extensions };
}

/**
 * Apollo's `formatError`. Unexpected errors are logged and answered with `service.internal_error`.
 * @param options.introspection whether refusals may name what the schema has
 */
export function errorFormatter(
  log: Log,
  { introspection }: { readonly introspection: boolean },
): (formatted: GraphQLFormattedError, error: unknown) => GraphQLFormattedError {
  return (formatted, error) => {
    const original = originalOf(error);
    if (original instanceof Problem) return placed(formatted, problemError(original));
    if (formatted.extensions?.["code"] === HASH_UNKNOWN) return { message: formatted.message, extensions: { code: HASH_UNKNOWN } };
    const type = apolloRefusal(formatted);
    if (type !== undefined) {
      const message = introspection ? formatted.message : formatted.message.replace(HINT, "");
      return placed(formatted, { message, extensions: { code: type.code, status: type.status } });
    }
    const span = currentSpan();
    span?.fail(errorTypeOf(original));
    const text = original instanceof Error ? original.stack : String(original);
    log.error({ error: text, path: formatted.path, traceId: span?.traceId }, "a GraphQL field failed");
    return placed(formatted, problemError(new Problem(internalError)));
  };
}

/** What was thrown, below what GraphQL put around it. */
export function originalOf(error: unknown): unknown {
  return error instanceof GraphQLError && error.originalError !== undefined ? originalOf(error.originalError) : error;
}

function apolloRefusal(formatted: GraphQLFormattedError): ProblemType | undefined {
  const { message } = formatted;
  if (message.includes("potential Cross-Site Request Forgery")) return csrfRefused;
  if (message.startsWith("GET requests only support query operations")) return mutationByGet;
  return APOLLO_CODES[String(formatted.extensions?.["code"])];
}

function placed(formatted: GraphQLFormattedError, error: GraphQLFormattedError): GraphQLFormattedError {
  return {
    ...error,
    ...(formatted.locations === undefined ? {} : { locations: formatted.locations }),
    ...(formatted.path === undefined ? {} : { path: formatted.path }),
  };
}
