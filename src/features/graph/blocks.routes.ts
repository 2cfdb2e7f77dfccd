/** Blocks and mutes over REST. */

import type { Db } from "#src/db/pool";
import { userNotFound } from "#src/features/accounts/public";
import { userIsStaff } from "#src/features/profiles/public";
import { accountRestricted } from "#src/features/sessions/public";
import { route } from "#src/http/route";
import { account } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { block, unblock } from "./block.ts";
import { blockAction, muteAction, ownListAction } from "./graph.actions.ts";
import { blockSelf, muteSelf } from "./graph.errors.ts";
import { listQuery, muteBody, personParams } from "./graph.schemas.ts";
import {
  blockedView,
  blockListSchema,
  blockSchema,
  mutedView,
  muteListSchema,
  muteSchema,
  muteView,
  unblockSchema,
  unblockView,
  unmuteSchema,
} from "./graph.views.ts";
import { mute, unmute } from "./mute.ts";
import { listBlocks, listMutes } from "./own-lists.ts";

interface Deps {
  readonly db: Db;
  readonly clock: Clock;
}

export const blocksRoutes = [
  route({
    method: "post",
    path: "/api/users/:id/block",
    tag: "users",
    summary: "Block someone",
    description:
      "Ends follows and requests both ways. From then on neither finds, sees or hears of the other. Blocking whom you have blocked changes nothing and is answered alike.",
    params: personParams,
    answers: { 200: { description: "They are blocked", body: blockSchema } },
    problems: [blockSelf, userNotFound, userIsStaff, accountRestricted],
    throttle: blockAction,
    needs: account,
    handle: async (deps: Deps, { actor, params }) => ({
      status: 200,
      body: { status: await block(deps, { actorId: actor.userId, otherId: params.id }) },
    }),
  }),
  route({
    method: "delete",
    path: "/api/users/:id/block",
    tag: "users",
    summary: "Unblock someone",
    description: "Says what the block had ended; it stays ended.",
    params: personParams,
    answers: { 200: { description: "They are not blocked", body: unblockSchema } },
    problems: [blockSelf, userNotFound, accountRestricted],
    throttle: blockAction,
    needs: account,
    handle: async (deps: Deps, { actor, params }) => ({
      status: 200,
      body: unblockView(await unblock(deps, { actorId: actor.userId, otherId: params.id })),
    }),
  }),
  route({
    method: "get",
    path: "/api/users/me/blocks",
    tag: "users",
    summary: "Whom you blocked, the newest first",
    query: listQuery,
    answers: { 200: { description: "A page", body: blockListSchema } },
    problems: [],
    throttle: ownListAction,
    needs: account,
    handle: async (deps: Deps, { actor, query }) => {
      const { data, pagination } = await listBlocks(deps, { viewer: actor, limit: query.limit, cursor: query.cursor });
      return { status: 200, body: { data: data.map(blockedView), pagination } };
    },
  }),
  route({
    method: "post",
    path: "/api/users/:id/mute",
    tag: "users",
    summary: "Mute someone, without their noticing",
    description: "Doing so again changes how. The muted one sees and may do what they could before.",
    params: personParams,
    body: muteBody,
    answers: { 200: { description: "They are muted", body: muteSchema } },
    problems: [muteSelf, userNotFound, accountRestricted],
    throttle: muteAction,
    needs: account,
    handle: async (deps: Deps, { actor, params, body: { until, notifications } }) => {
      const wanted = { until: until === null ? null : new Date(until), notifications };
      return { status: 200, body: muteView(await mute(deps, { actorId: actor.userId, otherId: params.id }, wanted)) };
    },
  }),
  route({
    method: "delete",
    path: "/api/users/:id/mute",
    tag: "users",
    summary: "Mute someone no more",
    params: personParams,
    answers: { 200: { description: "They are not muted", body: unmuteSchema } },
    problems: [muteSelf, userNotFound, accountRestricted],
    throttle: muteAction,
    needs: account,
    handle: async (deps: Deps, { actor, params }) => ({
      status: 200,
      body: { status: await unmute(deps, { actorId: actor.userId, otherId: params.id }) },
    }),
  }),
  route({
    method: "get",
    path: "/api/users/me/mutes",
    tag: "users",
    summary: "Whom you muted, the newest first",
    query: listQuery,
    answers: { 200: { description: "A page", body: muteListSchema } },
    problems: [],
    throttle: ownListAction,
    needs: account,
    handle: async (deps: Deps, { actor, query }) => {
      const { data, pagination } = await listMutes(deps, { viewer: actor, limit: query.limit, cursor: query.cursor });
      return { status: 200, body: { data: data.map(mutedView), pagination } };
    },
  }),
];
