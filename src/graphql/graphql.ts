/** Apollo Server on Koa: one guarded schema, small documents only, problems as `extensions.code`. */

import type { IncomingMessage } from "node:http";
import { ApolloServer, type ApolloServerPlugin, type BaseContext } from "@apollo/server";
import { ApolloServerPluginInlineTraceDisabled, ApolloServerPluginLandingPageDisabled } from "@apollo/server/plugin/disabled";
import { koaMiddleware } from "@as-integrations/koa";
import { getOperationAST, GraphQLError, type DocumentNode, type GraphQLSchema, type OperationDefinitionNode } from "graphql";
import type { Context, Middleware } from "koa";
import { LRUCache } from "lru-cache";
import type { Client, Gate, Throttle } from "#src/kernel/actor";
import type { Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { currentSpan, inSpan, type SpanSpec } from "#src/kernel/trace";
import { RequestContext } from "./context.ts";
import { COST_LIMIT, costOf } from "./cost.ts";
import { errorFormatter, problemError } from "./errors.ts";
import { createDocuments, type Documents, type TrustedDocuments } from "./documents.ts";
import { mutationByGet, subscriptionOverHttp, tooCostly } from "./graphql.errors.ts";
import { LIMITS, parseWithinLimits, STORED_CHARACTERS, storedSize } from "./limits.ts";
import { requireRunnable } from "./manifest.ts";
import type { GraphqlPart } from "./part.ts";
import { bearerToken, readGraphqlRequest, type GraphqlRequest } from "./request.ts";
import { assembleSchema } from "./schema.ts";

export interface GraphqlOptions<Deps> {
  readonly parts: readonly GraphqlPart<Deps>[];
  readonly deps: Deps;
  readonly gate: Gate;
  readonly throttle: Throttle;
  readonly clientOf: (request: IncomingMessage) => Client;
  readonly log: Log;
  /** Whether the schema is shown: by introspection, `_service`, and hints at misspelt names. */
  readonly introspection: boolean;
  /** Documents that clients may name by their hash without having sent them. */
  readonly trusted?: TrustedDocuments | undefined;
}

export interface Graphql {
  /** Answers every request it is given: mount it at `/graphql`, with nothing before it that reads the body. */
  readonly middleware: Middleware;
  readonly schema: GraphQLSchema;
  readonly documents: Documents;
  readonly stop: () => Promise<void>;
}

/** Starts the server. @throws Error when the parts do not fit together, or a trusted document does not fit them */
export async function createGraphql<Deps>(options: GraphqlOptions<Deps>): Promise<Graphql> {
  const schema = assembleSchema(options.parts, options);
  if (options.trusted !== undefined) requireRunnable(schema, options.trusted.manifest);
  const documents = createDocuments(options.trusted);
  const server = new ApolloServer<RequestContext<Deps>>({
    schema,
    csrfPrevention: true,
    introspection: options.introspection,
    hideSchemaDetailsFromClientErrors: !options.introspection,
    includeStacktraceInErrorResponses: false,
    persistedQueries: { cache: documents.cache },
    allowBatchedHttpRequests: false,
    stopOnTerminationSignals: false,
    parseOptions: { maxTokens: LIMITS.tokens },
    documentStore: documentStore(),
    formatError: errorFormatter(options.log, options),
    logger: apolloLog(options.log),
    // A subgraph would tell whoever asks for it how long each field took.
    plugins: [ApolloServerPluginLandingPageDisabled(), ApolloServerPluginInlineTraceDisabled(), costLimit(schema)],
  });
  await server.start();
  const apollo = koaMiddleware(server, { context: ({ ctx }) => Promise.resolve(contextOf(options, ctx.req)) });
  const isWithinLimits = limitChecker();
  const middleware: Middleware = async (ctx) => {
    ctx.set("Cache-Control", "no-store");
    try {
      const request = await readGraphqlRequest(ctx.req);
      const text = documents.textOf(request);
      if (text !== undefined) isWithinLimits(text, request.method);
      (ctx.request as { body?: unknown }).body = request.body;
      await inSpan(OPERATION_SPAN, () => apollo(ctx as never, () => Promise.resolve()) as Promise<void>);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      refuse(ctx, error);
    }
  };
  return { middleware, schema, documents, stop: () => server.stop() };
}

function contextOf<Deps>(options: GraphqlOptions<Deps>, request: IncomingMessage): RequestContext<Deps> {
  return new RequestContext(options.deps, {
    accessToken: bearerToken(request.headers.authorization),
    client: options.clientOf(request),
    gate: options.gate,
    throttle: options.throttle,
  });
}

/** A document that passed once is known by its text, so that Apollo's store is not made useless by a second parse. */
function limitChecker(): (text: string, method: GraphqlRequest["method"]) => void {
  const passed = new LRUCache<string, { readonly mutates: boolean }>({
    maxSize: STORED_CHARACTERS,
    sizeCalculation: (_, text) => storedSize(text),
  });
  return (text, method) => {
    let known = passed.get(text);
    if (known === undefined) {
      const { definitions } = parseWithinLimits(text);
      // Apollo would take the attempt for an error of ours.
      if (definitions.some((one) => one.kind === "OperationDefinition" && one.operation === "subscription"))
        throw new Problem(subscriptionOverHttp);
      known = { mutates: definitions.some((one) => one.kind === "OperationDefinition" && one.operation !== "query") };
      passed.set(text, known);
    }
    if (method === "GET" && known.mutates) throw new Problem(mutationByGet, { headers: { Allow: "POST" } });
  };
}

function costLimit<Deps>(schema: GraphQLSchema): ApolloServerPlugin<RequestContext<Deps>> {
  return {
    requestDidStart: () =>
      Promise.resolve({
        didResolveOperation: ({ document, request }): Promise<void> => {
          const operation = getOperationAST(document, request.operationName);
          nameSpan(operation);
          const cost = operation === null || operation === undefined ? 0 : costOf(schema, document, operation, request.variables ?? {});
          if (cost <= COST_LIMIT) return Promise.resolve();
          const problem = new Problem(tooCostly, { extensions: { limit: COST_LIMIT } });
          throw new GraphQLError(problem.message, { originalError: problem, extensions: { http: { status: tooCostly.status } } });
        },
      }),
  };
}

const OPERATION_SPAN: SpanSpec = { name: "graphql", kind: "internal" };

/** OpenTelemetry semantic conventions for GraphQL: named by type alone, since an operation's name is the client's to choose. */
function nameSpan(operation: OperationDefinitionNode | null | undefined): void {
  const span = operation ? currentSpan() : undefined;
  if (span === undefined || !operation) return;
  span.rename(operation.operation);
  span.set({ "graphql.operation.type": operation.operation });
}

/** Documents kept parsed: parsing each time cost 3.7 × the CPU of REST, with the store 2.1 ×. */
function documentStore(): NonNullable<ConstructorParameters<typeof ApolloServer<BaseContext>>[0]["documentStore"]> {
  const documents = new LRUCache<string, DocumentNode>({
    maxSize: STORED_CHARACTERS,
    sizeCalculation: ({ loc }) => storedSize(loc?.source.body ?? "") + (loc === undefined ? LIMITS.characters : 0),
  });
  return {
    get: (key) => Promise.resolve(documents.get(key)),
    set: (key, document) => {
      documents.set(key, document);
      return Promise.resolve();
    },
    delete: (key) => Promise.resolve(documents.delete(key)),
  };
}

function apolloLog(log: Log): Record<"debug" | "info" | "warn" | "error", (message?: unknown) => void> {
  const at = (level: keyof Log) => (message?: unknown) => log[level]({ apollo: String(message) }, "Apollo Server says");
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

function refuse(ctx: Context, problem: Problem): void {
  ctx.status = problem.type.status;
  for (const [name, value] of Object.entries(problem.details.headers ?? {})) ctx.set(name, value);
  ctx.type = "application/json";
  ctx.body = JSON.stringify({ errors: [problemError(problem)] });
}
