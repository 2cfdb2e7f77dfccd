/** The graph over REST. */

import type { Db } from "#src/db/pool";
import { userNotFound } from "#src/features/accounts/public";
import { userPrivate, userUnavailable } from "#src/features/profiles/public";
import { accountRestricted, capabilityLimited } from "#src/features/sessions/public";
import { route } from "#src/http/route";
import { accountOrLook } from "#src/kernel/actor";
import { plainPage } from "#src/kernel/page";
import { listFollowers, listFollowing } from "./follow-lists.ts";
import { follow, FOLLOW_LIMITS, unfollow } from "./follow.ts";
import { followAction, followListAction, follows, unfollowAction, unfollows } from "./graph.actions.ts";
import { followSelf, followTooMany, followTooManyWaiting } from "./graph.errors.ts";
import { listQuery, personParams } from "./graph.schemas.ts";
import { followListSchema, followSchema, unfollowSchema } from "./graph.views.ts";

interface Deps {
  readonly db: Db;
  readonly config: { readonly rateLimits: boolean };
}

export const graphRoutes = [
  route({
    method: "post",
    path: "/api/users/:id/follow",
    tag: "users",
    summary: "Follow someone",
    description:
      "Whoever wants to be asked first is asked: `requested`. Following whom you follow already changes nothing and is answered alike. " +
      `New people in a day: ${FOLLOW_LIMITS.newInADay}, in the first ${FOLLOW_LIMITS.newcomerDays} days of an account ${FOLLOW_LIMITS.newcomersInADay}; requests that wait: ${FOLLOW_LIMITS.waiting}.`,
    params: personParams,
    answers: { 200: { description: "You follow them, or have asked", body: followSchema } },
    problems: [followSelf, userNotFound, userUnavailable, accountRestricted, capabilityLimited, followTooMany, followTooManyWaiting],
    throttle: followAction,
    needs: follows,
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
    description: "Takes a request back too. Ending what is not there changes nothing and is answered alike.",
    params: personParams,
    answers: { 200: { description: "You do not follow them", body: unfollowSchema } },
    problems: [followSelf, userNotFound, accountRestricted],
    throttle: unfollowAction,
    needs: unfollows,
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
    problems: [userNotFound, userUnavailable, userPrivate],
    throttle: followListAction,
    needs: accountOrLook,
    handle: async (deps: Deps, { actor, params, query }) => {
      const page = await listFollowers(deps, { viewer: actor, ownerId: params.id, limit: query.limit, cursor: query.cursor });
      return { status: 200, body: plainPage(page) };
    },
  }),
  route({
    method: "get",
    path: "/api/users/:id/following",
    tag: "users",
    summary: "Whom someone follows, the newest first",
    params: personParams,
    query: listQuery,
    answers: { 200: { description: "A page", body: followListSchema } },
    problems: [userNotFound, userUnavailable, userPrivate],
    throttle: followListAction,
    needs: accountOrLook,
    handle: async (deps: Deps, { actor, params, query }) => {
      const page = await listFollowing(deps, { viewer: actor, ownerId: params.id, limit: query.limit, cursor: query.cursor });
      return { status: 200, body: plainPage(page) };
    },
  }),
];
