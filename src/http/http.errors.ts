/** What the kit itself refuses, before or around a route. */

import { inputInvalid, internalError, problem, serviceBusy, type ProblemType } from "#src/kernel/problem";

export const routeNotFound = problem("route.not_found", 404, "There is nothing at this path");
export const methodNotAllowed = problem("method.not_allowed", 405, "This path does not answer that method");
export const pathMalformed = problem("path.malformed", 400, "The path or query is not properly percent-encoded");
export const bodyMalformed = problem("body.malformed", 400, "The body is not valid JSON in UTF-8");
export const bodyTooLarge = problem("body.too_large", 413, "The body is larger than this service takes");
export const bodyTypeUnsupported = problem("body.type_unsupported", 415, "The body must be application/json in UTF-8, without compression");
export const rateLimited = problem("rate.limited", 429, "Too many tries; wait a little");
export const requestMalformed = problem("request.malformed", 400, "This is not a proper HTTP request");
export const requestHeadersTooLarge = problem("request.headers_too_large", 431, "The request's headers are larger than this service takes");
export const requestTimedOut = problem("request.timed_out", 408, "The request did not arrive in time");
export const deadlinePassed = problem("service.deadline_passed", 503, "The answer took longer than a request may take");

/** What any route may refuse with, whatever it declares. */
export const everyRoute: readonly ProblemType[] = [inputInvalid, pathMalformed, rateLimited, internalError, serviceBusy, deadlinePassed];

/** What a route that reads a body may refuse with besides. */
export const routesWithBody: readonly ProblemType[] = [bodyMalformed, bodyTooLarge, bodyTypeUnsupported, requestTimedOut];
