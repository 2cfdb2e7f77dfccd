/** What neighbours ask of people. */

import { batchAnswer, batchQuestion, relationshipsAnswer, relationshipsQuestion } from "#src/contract/people";
import type { Db } from "#src/db/pool";
import { userNotFound } from "#src/features/accounts/public";
import { accountRestricted } from "#src/features/sessions/public";
import { internalRoute } from "#src/http/internal-route";
import { inputInvalid } from "#src/kernel/problem";
import { readBatch } from "./batch.ts";
import { outsideScope } from "./neighbours.errors.ts";
import { decidePairs } from "./relationships.ts";
import { actionsFor, ASKERS, fieldsFor } from "./scopes.ts";

interface Needs {
  readonly db: Db;
}

export const neighboursInternalRoutes = [
  internalRoute({
    method: "post",
    path: "/internal/users/batch",
    summary: "Many people, as an account sees them or as anyone with an account does",
    body: batchQuestion,
    answers: { 200: { description: "Those who are there", body: batchAnswer } },
    problems: [inputInvalid, outsideScope, userNotFound, accountRestricted],
    callers: ASKERS,
    handle: async (deps: Needs, { body: { ids, viewerId, fields }, caller, log }) => ({
      status: 200,
      body: { data: await readBatch(deps, { ids, viewerId, fields: fieldsFor(log, caller, fields) }) },
    }),
  }),
  internalRoute({
    method: "post",
    path: "/internal/relationships",
    summary: "What people may do to each other",
    body: relationshipsQuestion,
    answers: { 200: { description: "A decision for each pair and action", body: relationshipsAnswer } },
    problems: [inputInvalid, outsideScope],
    callers: ASKERS,
    handle: async (deps: Needs, { body: { pairs, actions }, caller, log }) => ({
      status: 200,
      body: { data: await decidePairs(deps, { pairs, actions: actionsFor(log, caller, actions) }) },
    }),
  }),
];
