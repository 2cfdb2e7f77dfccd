/** The graph over REST. */

import type { Db } from "#src/db/pool";
import { userNotFound } from "#src/features/accounts/public";
import { userUnavailable } from "#src/features/profiles/public";
import { accountRestricted, capabilityLimited } from "#src/features/sessions/public";
import { route } from "#src/http/route";
import { listFollowers, listFollowing } from "./follow-lists.ts";
import { follow, unfollow } from "./follow.ts";
import { followAction, followListAction, unfollowAction } from "./graph.actions.ts";
import { followSelf } from "./graph.errors.ts";
import { listQuery, personParams } from "./graph.schemas.ts";
import { followListSchema, followSchema, unfollowSchema } from "./graph.views.ts";

interface Deps {
  readonly db: Db;
}

export const graphRoutes = [
  route({
    method: "post",
    path: "/api/users/:id/follow",
    tag: "users",
    summary: "Follow someone",
    description: "Following whom you follow already changes nothing and is answered alike.",
    params: personParams,
    answers: { 200: { description: "You follow them", body: followSchema } },
    problems: [followSelf, userNotFound, userUnavailable, accountRestricted, capabilityLimited],
    throttle: followAction,
    needs: { kind: "account", capability: "follow" },
    handle: async (deps: Deps, { actor, params }) => ({
      status: 200,
      body: { status: await follow(deps, { followerId: actor.userId, followeeId: params.id }) },
    }),
  }),
  route({
    method: "delete",
    path: "/api/users/:id/follow",
    tag: "users",
    summary: "Follow someone no more",
    description: "Ending what is not there changes nothing and is answered alike.",
    params: personParams,
    answers: { 200: { description: "You do not follow them", body: unfollowSchema } },
    problems: [followSelf, userNotFound, accountRestricted],
    throttle: unfollowAction,
    needs: { kind: "account" },
    handle: async (deps: Deps, { actor, params }) => ({
      status: 200,
      body: { status: await unfollow(deps, { followerId: actor.userId, followeeId: params.id }) },
    }),
  }),
  route({
    method: "get",
    path: "/api/users/:id/followers",
    tag: "users",
    summary: "Who follows someone, the newest first",
    params: personParams,
    query: listQuery,
    answers: { 200: { description: "A page", body: followListSchema } },
    problems: [userNotFound, userUnavailable],
    throttle: followListAction,
    needs: { kind: "account" },
    handle: async (deps: Deps, { actor, params, query }) => ({
      status: 200,
      body: await listFollowers(deps, { viewer: actor, ownerId: params.id, limit: query.limit, cursor: query.cursor }),
    }),
  }),
  route({
    method: "get",
    path: "/api/users/:id/following",
    tag: "users",
    summary: "Whom someone follows, the newest first",
    params: personParams,
    query: listQuery,
    answers: { 200: { description: "A page", body: followListSchema } },
    problems: [userNotFound, userUnavailable],
    throttle: followListAction,
    needs: { kind: "account" },
    handle: async (deps: Deps, { actor, params, query }) => ({
      status: 200,
      body: await listFollowing(deps, { viewer: actor, ownerId: params.id, limit: query.limit, cursor: query.cursor }),
    }),
  }),
];
