/** One's own followers and requests to follow over REST. */

import type { Db } from "#src/db/pool";
import { userNotFound } from "#src/features/accounts/public";
import { userUnavailable } from "#src/features/profiles/public";
import { accountRestricted } from "#src/features/sessions/public";
import { route } from "#src/http/route";
import { account, accountOrLook } from "#src/kernel/actor";
import { plainPage } from "#src/kernel/page";
import { answerRequestAction, ownListAction, removeFollowerAction } from "./graph.actions.ts";
import { followRequestNotFound, followSelf } from "./graph.errors.ts";
import { listQuery, personParams } from "./graph.schemas.ts";
import { acceptSchema, requestListSchema, unfollowSchema } from "./graph.views.ts";
import { listRequests } from "./own-lists.ts";
import { acceptRequest, rejectRequest, removeFollower } from "./requests.ts";

interface Deps {
  readonly db: Db;
}

export const followersRoutes = [
  route({
    method: "delete",
    path: "/api/users/me/followers/:id",
    tag: "users",
    summary: "Have someone follow you no more",
    description: "They are not told by a notice. Removing who is no follower changes nothing and is answered alike.",
    params: personParams,
    answers: { 200: { description: "They do not follow you", body: unfollowSchema } },
    problems: [followSelf, userNotFound, accountRestricted],
    throttle: removeFollowerAction,
    needs: account,
    handle: async (deps: Deps, { actor, params }) => ({
      status: 200,
      body: { status: await removeFollower(deps, { actorId: actor.userId, otherId: params.id }) },
    }),
  }),
  route({
    method: "get",
    path: "/api/users/me/follow-requests",
    tag: "users",
    summary: "Who asks to follow you, the newest first",
    query: listQuery,
    answers: { 200: { description: "A page", body: requestListSchema } },
    problems: [],
    throttle: ownListAction,
    needs: accountOrLook,
    handle: async (deps: Deps, { actor, query }) => ({
      status: 200,
      body: plainPage(await listRequests(deps, { viewer: actor, limit: query.limit, cursor: query.cursor })),
    }),
  }),
  route({
    method: "post",
    path: "/api/users/me/follow-requests/:id/accept",
    tag: "users",
    summary: "Let someone follow you",
    description: "The id is that of who asks. Who follows you already is answered alike.",
    params: personParams,
    answers: { 200: { description: "They follow you", body: acceptSchema } },
    problems: [followRequestNotFound, followSelf, userNotFound, userUnavailable, accountRestricted],
    throttle: answerRequestAction,
    needs: account,
    handle: async (deps: Deps, { actor, params }) => ({
      status: 200,
      body: { status: await acceptRequest(deps, { actorId: actor.userId, otherId: params.id }) },
    }),
  }),
  route({
    method: "post",
    path: "/api/users/me/follow-requests/:id/reject",
    tag: "users",
    summary: "Do not let someone follow you",
    description: "The id is that of who asks. They are not told, and may ask again; block them if they will not stop.",
    params: personParams,
    answers: { 200: { description: "The request is gone", body: unfollowSchema } },
    problems: [followRequestNotFound, followSelf, userNotFound, accountRestricted],
    throttle: answerRequestAction,
    needs: account,
    handle: async (deps: Deps, { actor, params }) => ({
      status: 200,
      body: { status: await rejectRequest(deps, { actorId: actor.userId, otherId: params.id }) },
    }),
  }),
];
