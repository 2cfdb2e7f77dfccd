/** Discovery over REST. */

import type { Db } from "#src/db/pool";
import { route } from "#src/http/route";
import { searchAction } from "./discovery.actions.ts";
import { searchQuery } from "./discovery.schemas.ts";
import { searchSchema } from "./discovery.views.ts";
import { search } from "./search.ts";

interface Deps {
  readonly db: Db;
}

export const discoveryRoutes = [
  route({
    method: "get",
    path: "/api/users/search",
    tag: "users",
    summary: "Find people by how their username or display name begins",
    description: "Usernames first, then display names. Finds neither restricted accounts nor anybody you blocked or who blocked you.",
    query: searchQuery,
    answers: { 200: { description: "A page", body: searchSchema } },
    problems: [],
    throttle: searchAction,
    needs: { kind: "account" },
    handle: async (deps: Deps, { actor, query }) => ({
      status: 200,
      body: await search(deps, { viewer: actor, prefix: query.q, limit: query.limit, cursor: query.cursor, page: query.page }),
    }),
  }),
];
