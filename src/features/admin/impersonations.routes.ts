/** Impersonation over REST. */

import { z } from "zod";
import { userNotFound } from "#src/features/accounts/public";
import { roleInsufficient } from "#src/features/restrictions/public";
import { sessionRevoked, sessionSchema, stepUpRequired } from "#src/features/sessions/public";
import { route } from "#src/http/route";
import { actAction, IMPERSONATIONS_AN_HOUR, lookAction } from "./admin.actions.ts";
import { impersonationNotFound, impersonationTooOften, impersonationUnavailable, ownAccount } from "./admin.errors.ts";
import { impersonateBody, impersonationsQuery, userParams } from "./admin.schemas.ts";
import { endImpersonation, impersonate } from "./impersonate.ts";
import { impersonationSchema, listImpersonations } from "./list-impersonations.ts";

type Deps = Parameters<typeof impersonate>[0] & {
  /** Waits until this process itself has read what was just committed. */
  readonly revocationsSettled: () => Promise<void>;
};

const admins = { kind: "account", role: "admin" } as const;
const begun = z.object({
  accessToken: z.string().describe("JWT, ES256, with `act.sub`: the admin (RFC 8693). There is no refresh token"),
  tokenType: z.literal("Bearer"),
  expiresIn: z.number().int().describe("Seconds until it ends"),
  session: sessionSchema,
});
const page = z.object({ data: z.array(impersonationSchema), pagination: z.object({ nextCursor: z.string().nullable() }) });

export const impersonationsRoutes = [
  route({
    method: "post",
    path: "/api/admin/users/:id/impersonate",
    tag: "admin",
    summary: "Act in somebody's place for some minutes",
    description:
      "Of accounts in good standing without a staff role. It ends with the session that begins it, cannot be made longer, is told to the " +
      "user without the reason, and may do only what says `Open to impersonation`; each change is put on record. " +
      `${IMPERSONATIONS_AN_HOUR} an hour.`,
    params: userParams,
    body: impersonateBody,
    answers: { 201: { description: "A token in the account's name", body: begun } },
    problems: [userNotFound, roleInsufficient, ownAccount, stepUpRequired, sessionRevoked, impersonationUnavailable, impersonationTooOften],
    throttle: actAction,
    needs: admins,
    handle: async (deps: Deps, { actor, params, body }) => ({
      status: 201,
      body: await impersonate(deps, { by: actor, userId: params.id, ...body }),
    }),
  }),
  route({
    method: "get",
    path: "/api/admin/impersonations",
    tag: "admin",
    summary: "Who was in whose place, the newest first, for 90 days",
    query: impersonationsQuery,
    answers: { 200: { description: "A page", body: page } },
    problems: [],
    throttle: lookAction,
    needs: admins,
    handle: async (deps: Deps, { query }) => ({ status: 200, body: await listImpersonations(deps, query) }),
  }),
  route({
    method: "delete",
    path: "/api/admin/impersonations/:id",
    tag: "admin",
    summary: "End an impersonation, one's own or another admin's",
    params: userParams,
    answers: { 204: { description: "It has ended; its sockets are closed" } },
    problems: [impersonationNotFound],
    throttle: actAction,
    needs: admins,
    handle: async (deps: Deps, { actor, params }) => {
      await endImpersonation(deps, { by: actor, sessionId: params.id });
      await deps.revocationsSettled();
      return { status: 204 };
    },
  }),
];
