/** What the GraphQL kit itself refuses with; what fields refuse with comes from their features. */

import { problem } from "#src/kernel/problem";

export const bodyTooLarge = problem("graphql.body_too_large", 413, "A GraphQL request may have 64 KB");
export const unsupportedMediaType = problem("graphql.unsupported_media_type", 415, "Send application/json in UTF-8, not compressed");
export const methodNotAllowed = problem("graphql.method_not_allowed", 405, "GraphQL is spoken by POST and, for queries, GET");
export const requestInvalid = problem("graphql.request_invalid", 400, "The request is not a GraphQL request");
export const batchRefused = problem("graphql.batch_refused", 400, "Send one operation a request");
export const csrfRefused = problem(
  "graphql.csrf_refused",
  400,
  "A request that a page could send without asking; add the header Apollo-Require-Preflight",
);
export const mutationByGet = problem("graphql.mutation_by_get", 405, "GET is for queries only");
export const documentTooLong = problem("graphql.document_too_long", 400, "A document may have 10,000 characters");
export const tooManyTokens = problem("graphql.too_many_tokens", 400, "The document has too many tokens");
export const tooDeep = problem("graphql.too_deep", 400, "The document is nested too deeply");
export const tooManyAliases = problem("graphql.too_many_aliases", 400, "The operation has too many aliases or root fields");
export const tooManyFields = problem("graphql.too_many_fields", 400, "The operation asks for too many fields");
export const tooCostly = problem("graphql.too_costly", 400, "The operation would cost too much; ask for shorter lists");
export const syntaxError = problem("graphql.syntax_error", 400, "The document does not parse");
export const documentInvalid = problem("graphql.document_invalid", 400, "The document does not fit the schema");
export const operationUnknown = problem("graphql.operation_unknown", 400, "Name one operation of the document");
export const schemaHidden = problem("graphql.schema_hidden", 403, "The schema is not shown here");
export const hashMismatch = problem("graphql.hash_mismatch", 400, "The hash is not the SHA-256 of the document");
export const documentUntrusted = problem("graphql.document_untrusted", 400, "Only documents that were agreed on beforehand are run here");
export const subscriptionOverHttp = problem(
  "graphql.subscription_over_http",
  400,
  "Subscriptions are spoken over a websocket at this path, with the protocol graphql-transport-ws",
);
export const subscriptionsOnly = problem(
  "graphql.subscriptions_only",
  400,
  "Over a websocket there are subscriptions only; send queries and mutations by HTTP",
);
export const tooManySubscriptions = problem("graphql.too_many_subscriptions", 409, "A connection may have 20 subscriptions at once");
