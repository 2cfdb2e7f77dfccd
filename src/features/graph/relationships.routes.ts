/** What one is to many people, over REST. */

import type { Db } from "#src/db/pool";
import { idsQuery } from "#src/features/profiles/public";
import { route } from "#src/http/route";
import { accountOrLook } from "#src/kernel/actor";
import { relationshipsAction } from "./graph.actions.ts";
import { relationshipsSchema } from "./graph.views.ts";
import { readRelationships } from "./relationships.ts";

interface Deps {
  readonly db: Db;
}

export const relationshipsRoutes = [
  route({
    method: "get",
    path: "/api/users/relationships",
    tag: "users",
    summary: "What you are to many people at once",
    description:
      "In the order of the ids, each once. Who is not there for you is left out, as is an id that nobody has, and so are you. Whom you blocked " +
      "is in it with `isBlocking` and nothing else.",
    query: idsQuery,
    answers: { 200: { description: "One page", body: relationshipsSchema } },
    problems: [],
    throttle: relationshipsAction,
    needs: accountOrLook,
    handle: async (deps: Deps, { actor, query }) => ({
      status: 200,
      body: { data: await readRelationships(deps, { viewer: actor, ids: query.ids }), pagination: { nextCursor: null } },
    }),
  }),
];
