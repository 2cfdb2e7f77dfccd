/** Declared restrictions, for the apps that declare them. */

import { declarationAnswer, declaredPage, declaredRestriction } from "#src/contract/external-restrictions";
import type { Db } from "#src/db/pool";
import { userNotFound } from "#src/features/accounts/public";
import { internalRoute } from "#src/http/internal-route";
import type { Clock } from "#src/kernel/clock";
import { securityEvent, type Log } from "#src/kernel/log";
import { inputInvalid, Problem } from "#src/kernel/problem";
import { declare } from "./declare.ts";
import { declaredParams, declaredQuery, endBody, sourceParams, wishBody } from "./declared.schemas.ts";
import { declarationView, declaredView } from "./declared.views.ts";
import { endDeclaration } from "./end-declaration.ts";
import { listDeclared, readDeclared } from "./read-declared.ts";
import { foreignSource, restrictionConflict, restrictionNotFound, restrictionSuperseded, staffTarget } from "./restrictions.errors.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
  /** Waits until this process itself has read what was just committed. */
  readonly revocationsSettled: () => Promise<void>;
}

/** Which app declares under which sources. */
const SOURCES: Readonly<Record<string, readonly string[]>> = { "user-service-controller": ["kubernetes"] };
const callers = Object.keys(SOURCES);

/** @throws Problem `restriction.foreign_source` */
function requireOwnSource(deps: Needs, caller: string, source: string): void {
  if (SOURCES[caller]?.includes(source) === true) return;
  securityEvent(deps.log, { kind: "access.denied", reason: `${caller} may not declare for ${source}` });
  throw new Problem(foreignSource);
}

const path = "/internal/restrictions/:source/:externalId";

export const restrictionsInternalRoutes = [
  internalRoute({
    method: "put",
    path,
    summary: "Declare a restriction: impose it, or see that it holds",
    params: declaredParams,
    body: wishBody,
    answers: { 200: { description: "What was done, and how it stands", body: declarationAnswer } },
    problems: [inputInvalid, foreignSource, userNotFound, staffTarget, restrictionConflict, restrictionSuperseded],
    callers,
    handle: async (deps: Needs, { caller, params, body }) => {
      requireOwnSource(deps, caller, params.source);
      const done = await declare(deps, params, body);
      if (done.changed) await deps.revocationsSettled();
      return { status: 200, body: declarationView(done) };
    },
  }),
  internalRoute({
    method: "delete",
    path,
    summary: "End a declaration: lift what it imposed, or keep it",
    params: declaredParams,
    body: endBody,
    answers: { 200: { description: "What was done; the same when repeated", body: declarationAnswer } },
    problems: [inputInvalid, foreignSource, restrictionSuperseded],
    callers,
    handle: async (deps: Needs, { caller, params, body }) => {
      requireOwnSource(deps, caller, params.source);
      const done = await endDeclaration(deps, params, body);
      if (done.changed) await deps.revocationsSettled();
      return { status: 200, body: declarationView(done) };
    },
  }),
  internalRoute({
    method: "get",
    path,
    summary: "How a declaration stands, or how its last incarnation ended",
    params: declaredParams,
    answers: { 200: { description: "The declaration", body: declaredRestriction } },
    problems: [inputInvalid, foreignSource, restrictionNotFound],
    callers,
    handle: async (deps: Needs, { caller, params }) => {
      requireOwnSource(deps, caller, params.source);
      return { status: 200, body: declaredView(await readDeclared(deps, params)) };
    },
  }),
  internalRoute({
    method: "get",
    path: "/internal/restrictions/:source",
    summary: "Every declaration of a source that has not ended, by external id",
    params: sourceParams,
    query: declaredQuery,
    answers: { 200: { description: "A page; `nextAfter` is the next one's `after`", body: declaredPage } },
    problems: [inputInvalid, foreignSource],
    callers,
    handle: async (deps: Needs, { caller, params, query }) => {
      requireOwnSource(deps, caller, params.source);
      const { data, nextAfter } = await listDeclared(deps, { ...params, ...query });
      return { status: 200, body: { data: data.map(declaredView), nextAfter } };
    },
  }),
];
