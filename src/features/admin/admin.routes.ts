/** Administration over REST. */

import { z } from "zod";
import { route } from "#src/http/route";
import { emailTaken, userNotFound, usernameTaken } from "#src/features/accounts/public";
import { totpNotFound } from "#src/features/factors/public";
import { roleInsufficient } from "#src/features/restrictions/public";
import { sessionNotFound, sessionSchema, stepUpRequired } from "#src/features/sessions/public";
import { actAction, lookAction } from "./admin.actions.ts";
import { lastAdmin, ownAccount } from "./admin.errors.ts";
import { createBody, listQuery, reasonBody, rolesBody, sessionParams, userParams } from "./admin.schemas.ts";
import { adminUserSchema } from "./admin.views.ts";
import { changeRoles } from "./change-roles.ts";
import { endSession, endSessions, forceReset, resetFactors, unlock } from "./first-aid.ts";
import { invite } from "./invite.ts";
import { listUsers, readSessions, readUser } from "./look.ts";

type Deps = Parameters<typeof unlock>[0] &
  Parameters<typeof readSessions>[0] & {
    /** Waits until this process itself has read what was just committed. */
    readonly revocationsSettled: () => Promise<void>;
  };

const admins = { kind: "account", role: "admin" } as const;
/** What every change may be refused with. */
const refusals = [userNotFound, roleInsufficient, ownAccount, stepUpRequired];
const page = z.object({ data: z.array(adminUserSchema), pagination: z.object({ nextCursor: z.string().nullable() }) });

export const adminRoutes = [
  route({
    method: "get",
    path: "/api/admin/users",
    tag: "admin",
    summary: "Accounts, newest first",
    query: listQuery,
    answers: { 200: { description: "A page", body: page } },
    problems: [],
    throttle: lookAction,
    needs: admins,
    handle: async (deps: Deps, { query }) => {
      const emailVerified = query.emailVerified === undefined ? undefined : query.emailVerified === "true";
      return { status: 200, body: await listUsers(deps, { ...query, emailVerified }) };
    },
  }),
  route({
    method: "post",
    path: "/api/admin/users",
    tag: "admin",
    summary: "Invite somebody: an account whose password a mailed link sets",
    body: createBody,
    answers: { 201: { description: "The account", body: adminUserSchema } },
    problems: [usernameTaken, emailTaken, stepUpRequired],
    throttle: actAction,
    needs: admins,
    handle: async (deps: Deps, { actor, body, client }) => ({
      status: 201,
      body: await invite(deps, { by: actor, ...body, locale: client.locale }),
    }),
  }),
  route({
    method: "get",
    path: "/api/admin/users/:id",
    tag: "admin",
    summary: "One account",
    params: userParams,
    answers: { 200: { description: "The account", body: adminUserSchema } },
    problems: [userNotFound],
    throttle: lookAction,
    needs: admins,
    handle: async (deps: Deps, { params }) => ({ status: 200, body: await readUser(deps, params.id) }),
  }),
  route({
    method: "put",
    path: "/api/admin/users/:id/roles",
    tag: "admin",
    summary: "Give or take roles",
    description: "The account's sessions end. Admins are changed by the CLI only.",
    params: userParams,
    body: rolesBody,
    answers: { 200: { description: "The account", body: adminUserSchema } },
    problems: [...refusals, lastAdmin],
    throttle: actAction,
    needs: admins,
    handle: async (deps: Deps, { actor, params, body }) => {
      await changeRoles(deps, { by: actor, userId: params.id, ...body });
      await deps.revocationsSettled();
      return { status: 200, body: await readUser(deps, params.id) };
    },
  }),
  route({
    method: "post",
    path: "/api/admin/users/:id/force-reset",
    tag: "admin",
    summary: "Have somebody set a new password",
    description: "The old one is good for nothing, every session ends, and a link is mailed.",
    params: userParams,
    body: reasonBody,
    answers: { 204: { description: "Done" } },
    problems: refusals,
    throttle: actAction,
    needs: admins,
    handle: async (deps: Deps, { actor, params, body }) => {
      await forceReset(deps, { by: actor, userId: params.id, ...body });
      await deps.revocationsSettled();
      return { status: 204 };
    },
  }),
  route({
    method: "post",
    path: "/api/admin/users/:id/unlock",
    tag: "admin",
    summary: "Give an account all its tries to sign in back",
    params: userParams,
    body: reasonBody,
    answers: { 204: { description: "Done" } },
    problems: refusals,
    throttle: actAction,
    needs: admins,
    handle: async (deps: Deps, { actor, params, body }) => {
      await unlock(deps, { by: actor, userId: params.id, ...body });
      return { status: 204 };
    },
  }),
  route({
    method: "post",
    path: "/api/admin/users/:id/reset-mfa",
    tag: "admin",
    summary: "Remove the second factors of somebody who has lost them",
    description: "Make sure who asks. Sessions end and the owner is told.",
    params: userParams,
    body: reasonBody,
    answers: { 204: { description: "Done" } },
    problems: [...refusals, totpNotFound],
    throttle: actAction,
    needs: admins,
    handle: async (deps: Deps, { actor, params, body }) => {
      await resetFactors(deps, { by: actor, userId: params.id, ...body });
      await deps.revocationsSettled();
      return { status: 204 };
    },
  }),
  route({
    method: "get",
    path: "/api/admin/users/:id/sessions",
    tag: "admin",
    summary: "The newest 100 standing sessions of an account",
    params: userParams,
    answers: { 200: { description: "The sessions", body: z.object({ data: z.array(sessionSchema) }) } },
    problems: [userNotFound],
    throttle: lookAction,
    needs: admins,
    handle: async (deps: Deps, { params }) => ({ status: 200, body: { data: await readSessions(deps, params.id) } }),
  }),
  route({
    method: "post",
    path: "/api/admin/users/:id/end-sessions",
    tag: "admin",
    summary: "End every session of an account",
    params: userParams,
    body: reasonBody,
    answers: { 200: { description: "How many ended", body: z.object({ sessionsRevoked: z.number().int() }) } },
    problems: refusals,
    throttle: actAction,
    needs: admins,
    handle: async (deps: Deps, { actor, params, body }) => {
      const ended = await endSessions(deps, { by: actor, userId: params.id, ...body });
      await deps.revocationsSettled();
      return { status: 200, body: ended };
    },
  }),
  route({
    method: "post",
    path: "/api/admin/users/:id/sessions/:sessionId/end",
    tag: "admin",
    summary: "End one session of an account",
    params: sessionParams,
    body: reasonBody,
    answers: { 204: { description: "It has ended; its sockets are closed" } },
    problems: [...refusals, sessionNotFound],
    throttle: actAction,
    needs: admins,
    handle: async (deps: Deps, { actor, params, body }) => {
      await endSession(deps, { by: actor, userId: params.id, sessionId: params.sessionId, ...body });
      await deps.revocationsSettled();
      return { status: 204 };
    },
  }),
];
