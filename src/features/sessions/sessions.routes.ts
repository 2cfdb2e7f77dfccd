/** Sessions over REST. */

import { z } from "zod";
import { route } from "#src/http/route";
import type { Db } from "#src/db/pool";
import type { Log } from "#src/kernel/log";
import type { AccessTokens } from "./access-token.ts";
import { jwks, type KeyRing } from "./key-ring.ts";
import { listSessions } from "./list-sessions.ts";
import { refresh } from "./refresh.ts";
import type { RefreshTokens } from "./refresh-token.ts";
import { logout, logoutAll, revokeOwnSession } from "./revoke.ts";
import { endAction, keysAction, listAction, refreshAction } from "./sessions.actions.ts";
import { accountRestricted, refreshInvalid, refreshReused, sessionExpired, sessionNotFound, sessionRevoked } from "./sessions.errors.ts";
import { listQuery, refreshBody, sessionParams } from "./sessions.schemas.ts";
import { sessionSchema, tokensSchema } from "./sessions.views.ts";

interface Deps {
  readonly db: Db;
  readonly log: Log;
  readonly accessTokens: AccessTokens;
  readonly refreshTokens: RefreshTokens;
  readonly refreshReuseGraceSeconds: number;
  readonly keyRing: KeyRing;
  /** Waits until this process itself has read what was just committed. */
  readonly revocationsSettled: () => Promise<void>;
}

const own = { kind: "account" } as const;
const ownEvenRestricted = { kind: "account", restricted: "allowed" } as const;

export const sessionsRoutes = [
  route({
    method: "post",
    path: "/api/auth/refresh",
    tag: "auth",
    summary: "Exchange a refresh token for its one successor",
    description: "Presenting the same token again gives the same successor while that is unused, so a lost answer costs nothing.",
    body: refreshBody,
    answers: {
      200: { description: "A new access token and the next refresh token", body: tokensSchema.omit({ session: true }).required() },
    },
    problems: [refreshInvalid, refreshReused, sessionRevoked, sessionExpired, accountRestricted],
    throttle: refreshAction,
    needs: { kind: "anyone" },
    handle: async (deps: Deps, { body, client }) => ({ status: 200, body: await refresh(deps, { ...body, client }) }),
  }),
  route({
    method: "post",
    path: "/api/auth/logout",
    tag: "auth",
    summary: "End this session",
    answers: { 204: { description: "The session has ended; its sockets are closed" } },
    problems: [],
    throttle: endAction,
    needs: ownEvenRestricted,
    handle: async (deps: Deps, { actor }) => {
      await logout(deps, actor);
      await deps.revocationsSettled();
      return { status: 204 };
    },
  }),
  route({
    method: "post",
    path: "/api/auth/logout-all",
    tag: "auth",
    summary: "End every session of the account, this one too",
    answers: { 200: { description: "How many ended", body: z.object({ sessionsRevoked: z.number().int() }) } },
    problems: [],
    throttle: endAction,
    needs: ownEvenRestricted,
    handle: async (deps: Deps, { actor }) => {
      const body = await logoutAll(deps, actor);
      await deps.revocationsSettled();
      return { status: 200, body };
    },
  }),
  route({
    method: "get",
    path: "/api/auth/sessions",
    tag: "auth",
    summary: "The standing sessions of the account, newest first",
    query: listQuery,
    answers: {
      200: {
        description: "A page",
        body: z.object({ data: z.array(sessionSchema), pagination: z.object({ nextCursor: z.string().nullable() }) }),
      },
    },
    problems: [],
    throttle: listAction,
    needs: own,
    handle: async (deps: Deps, { actor, query }) => ({
      status: 200,
      body: await listSessions(deps, { actor, limit: query.limit, cursor: query.cursor }),
    }),
  }),
  route({
    method: "delete",
    path: "/api/auth/sessions/:id",
    tag: "auth",
    summary: "End one of the account's sessions",
    params: sessionParams,
    answers: { 204: { description: "The session has ended; its sockets are closed" } },
    problems: [sessionNotFound],
    throttle: endAction,
    needs: own,
    handle: async (deps: Deps, { actor, params }) => {
      await revokeOwnSession(deps, { actor, sessionId: params.id });
      await deps.revocationsSettled();
      return { status: 204 };
    },
  }),
  route({
    method: "get",
    path: "/.well-known/jwks.json",
    tag: "auth",
    summary: "The public keys of access tokens (RFC 7517)",
    answers: { 200: { description: "A JWK Set", body: z.object({ keys: z.array(z.record(z.string(), z.unknown())) }) } },
    problems: [],
    throttle: keysAction,
    needs: { kind: "anyone" },
    handle: (deps: Deps) =>
      Promise.resolve({
        status: 200,
        body: jwks(deps.keyRing),
        headers: { "cache-control": "public, max-age=300, stale-while-revalidate=600" },
      }),
  }),
];
