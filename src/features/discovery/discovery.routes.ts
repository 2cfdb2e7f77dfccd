/** Discovery over REST. */

import type { Db } from "#src/db/pool";
import { route } from "#src/http/route";
import { account, accountOrLook } from "#src/kernel/actor";
import { userNotFound } from "#src/features/accounts/public";
import { userUnavailable } from "#src/features/profiles/public";
import { dismissAction, searchAction, suggestAction } from "./discovery.actions.ts";
import { searchQuery, suggestionParams, suggestionsQuery } from "./discovery.schemas.ts";
import { searchSchema, suggestionsSchema } from "./discovery.views.ts";
import { search } from "./search.ts";
import { dismiss, suggest } from "./suggestions.ts";

interface Deps {
  readonly db: Db;
}

export const discoveryRoutes = [
  route({
    method: "get",
    path: "/api/users/search",
    tag: "users",
    summary: "Find people by their username or display name",
    description:
      "Usernames that begin so, then display names that do; from three letters on and where those are fewer than 20, the 100 nearest names, for typos. Finds neither restricted accounts nor who does not let you find them, nor anybody you blocked or who blocked you.",
    query: searchQuery,
    answers: { 200: { description: "A page", body: searchSchema } },
    problems: [],
    throttle: searchAction,
    needs: accountOrLook,
    handle: async (deps: Deps, { actor, query }) => ({
      status: 200,
      body: await search(deps, { viewer: actor, prefix: query.q, limit: query.limit, cursor: query.cursor, page: query.page }),
    }),
  }),
  route({
    method: "get",
    path: "/api/users/suggestions",
    tag: "users",
    summary: "Whom you might follow, and why",
    description:
      "People followed by those you follow, those of most first; where they are few, popular ones. Never whom you follow, asked, muted or dismissed.",
    query: suggestionsQuery,
    answers: { 200: { description: "One page", body: suggestionsSchema } },
    problems: [],
    throttle: suggestAction,
    needs: accountOrLook,
    handle: async (deps: Deps, { actor, query }) => ({
      status: 200,
      body: { data: await suggest(deps, { viewer: actor, limit: query.limit }), pagination: { nextCursor: null } },
    }),
  }),
  route({
    method: "delete",
    path: "/api/users/suggestions/:id",
    tag: "users",
    summary: "Have somebody not suggested for 90 days",
    description: "They learn nothing of it. Twice begins the time anew.",
    params: suggestionParams,
    answers: { 204: { description: "Dismissed" } },
    problems: [userNotFound, userUnavailable],
    throttle: dismissAction,
    needs: account,
    handle: async (deps: Deps, { actor, params }) => {
      await dismiss(deps, { viewer: actor, id: params.id });
      return { status: 204 };
    },
  }),
];
