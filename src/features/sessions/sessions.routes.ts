/** Sessions over REST. */

import { z } from "zod";
import { route, type Answer } from "#src/http/route";
import type { Db } from "#src/db/pool";
import { accountOrLook, type Client } from "#src/kernel/actor";
import type { Log } from "#src/kernel/log";
import { plainPage } from "#src/kernel/page";
import { Problem } from "#src/kernel/problem";
import type { AccessTokens } from "./access-token.ts";
import type { KeyRingSource } from "./key-ring-source.ts";
import { JWKS_CACHE_SECONDS } from "./key-states.ts";
import { listSessions } from "./list-sessions.ts";
import { refresh, type Refreshed } from "./refresh.ts";
import type { RefreshTokens } from "./refresh-token.ts";
import { renameSession } from "./rename-session.ts";
import { logout, logoutAll, revokeOwnOthers, revokeOwnSession } from "./revoke.ts";
import { asksForCookies, logoutReads, refreshReads, type SessionCookies } from "./session-cookies.ts";
import type { SessionLimits } from "./session-limits.ts";
import { endAction, keysAction, leaves, leavesEverywhere, listAction, refreshAction, renameAction } from "./sessions.actions.ts";
import {
  accountRestricted,
  csrfRefused,
  refreshInvalid,
  refreshReused,
  sessionExpired,
  sessionNotFound,
  sessionRevoked,
} from "./sessions.errors.ts";
import { listQuery, refreshBody, renameBody, sessionParams } from "./sessions.schemas.ts";
import { sessionSchema, tokensSchema, type PlaceOf } from "./sessions.views.ts";

interface Deps {
  readonly db: Db;
  readonly log: Log;
  readonly accessTokens: AccessTokens;
  readonly refreshTokens: RefreshTokens;
  readonly sessionCookies: SessionCookies;
  readonly refreshReuseGraceSeconds: number;
  readonly sessionLimits: SessionLimits;
  readonly placeOf?: PlaceOf;
  readonly keyRing: KeyRingSource;
  /** Waits until this process itself has read what was just committed. */
  readonly revocationsSettled: () => Promise<void>;
}

const own = { kind: "account" } as const;

const revoked = z.object({ sessionsRevoked: z.number().int() });
const refreshed = tokensSchema.omit({ session: true });

/** What a refreshed client learns in either mode. */
function accessOf({ accessToken, tokenType, expiresIn }: Refreshed): Pick<Refreshed, "accessToken" | "tokenType" | "expiresIn"> {
  return { accessToken, tokenType, expiresIn };
}

/** As in the body, but that the successor is a cookie; a token that will never do again takes its cookie along. */
async function refreshByCookie(deps: Deps, input: { readonly refreshToken: string; readonly client: Client }): Promise<Answer> {
  const { sessionCookies } = deps;
  try {
    const result = await refresh(deps, input);
    return {
      status: 200,
      body: { ...accessOf(result), csrfToken: sessionCookies.csrfToken(result.session.id) },
      headers: sessionCookies.set(result.refreshToken, result.session.secondsLeft),
    };
  } catch (error) {
    if (!(error instanceof Problem) || error.type.status !== 401) throw error;
    throw new Problem(error.type, { ...error.details, headers: { ...error.details.headers, ...sessionCookies.clear } });
  }
}

/** The headers of an answer after which the session is over. */
function leavingHeaders(deps: Deps, asCookie: boolean): Pick<Answer, "headers"> {
  return asCookie ? { headers: deps.sessionCookies.clear } : {};
}

export const sessionsRoutes = [
  route({
    method: "post",
    path: "/api/auth/refresh",
    tag: "auth",
    summary: "Exchange a refresh token for its one successor",
    description:
      "Presenting the same token again gives the same successor while that is unused, so a lost answer costs nothing. " +
      "In cookie mode the body has no token, the cookie is it: it wants X-CSRF-Token and the Origin of a page that may, and the " +
      "successor is a cookie again. A token in the body and a cookie, or two cookies, are refused.",
    body: refreshBody,
    reads: refreshReads,
    answers: {
      200: { description: "A new access token and the next refresh token, or its cookie and `csrfToken`", body: refreshed },
    },
    problems: [csrfRefused, refreshInvalid, refreshReused, sessionRevoked, sessionExpired, accountRestricted],
    throttle: refreshAction,
    needs: { kind: "anyone" },
    handle: async (deps: Deps, { body, head, client }) => {
      const { by, refreshToken } = deps.sessionCookies.presented(head, body.refreshToken, client);
      if (by === "cookie") return await refreshByCookie(deps, { refreshToken, client });
      const result = await refresh(deps, { refreshToken, client });
      return { status: 200, body: { ...accessOf(result), refreshToken: result.refreshToken } };
    },
  }),
  route({
    method: "post",
    path: "/api/auth/logout",
    tag: "auth",
    summary: "End this session",
    reads: logoutReads,
    answers: { 204: { description: "The session has ended; its sockets are closed, in cookie mode the cookie is gone" } },
    problems: [],
    throttle: endAction,
    needs: leaves,
    handle: async (deps: Deps, { actor, head }) => {
      const headers = leavingHeaders(deps, asksForCookies(head));
      await logout(deps, actor);
      await deps.revocationsSettled();
      return { status: 204, ...headers };
    },
  }),
  route({
    method: "post",
    path: "/api/auth/logout-all",
    tag: "auth",
    summary: "End every session of the account, this one too",
    reads: logoutReads,
    answers: { 200: { description: "How many ended", body: revoked } },
    problems: [],
    throttle: endAction,
    needs: leavesEverywhere,
    handle: async (deps: Deps, { actor, head }) => {
      const headers = leavingHeaders(deps, asksForCookies(head));
      const body = await logoutAll(deps, actor);
      await deps.revocationsSettled();
      return { status: 200, body, ...headers };
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
    needs: accountOrLook,
    handle: async (deps: Deps, { actor, query }) => ({
      status: 200,
      body: plainPage(await listSessions(deps, { actor, limit: query.limit, cursor: query.cursor })),
    }),
  }),
  route({
    method: "post",
    path: "/api/auth/sessions/revoke-others",
    tag: "auth",
    summary: "End every session of the account but this one",
    answers: { 200: { description: "How many ended; their sockets are closed", body: revoked } },
    problems: [],
    throttle: endAction,
    needs: own,
    handle: async (deps: Deps, { actor }) => {
      const body = await revokeOwnOthers(deps, actor);
      await deps.revocationsSettled();
      return { status: 200, body };
    },
  }),
  route({
    method: "patch",
    path: "/api/auth/sessions/:id",
    tag: "auth",
    summary: "Name one of the account's sessions",
    params: sessionParams,
    body: renameBody,
    answers: { 200: { description: "The session", body: sessionSchema } },
    problems: [sessionNotFound],
    throttle: renameAction,
    needs: own,
    handle: async (deps: Deps, { actor, params, body }) => ({
      status: 200,
      body: await renameSession(deps, { actor, sessionId: params.id, name: body.name }),
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
    description: "A new key is here ten minutes before it signs; one that was replaced stays while tokens under it live.",
    answers: { 200: { description: "A JWK Set", body: z.object({ keys: z.array(z.record(z.string(), z.unknown())) }) } },
    problems: [],
    throttle: keysAction,
    needs: { kind: "anyone" },
    handle: (deps: Deps) =>
      Promise.resolve({
        status: 200,
        body: deps.keyRing.current().jwks,
        headers: { "cache-control": `public, max-age=${JWKS_CACHE_SECONDS.fresh}, stale-while-revalidate=${JWKS_CACHE_SECONDS.stale}` },
      }),
  }),
];
