/** Other providers, and one's own identities there, over REST. */

import { route } from "#src/http/route";
import { userNotFound } from "#src/features/accounts/public";
import { stepUpRequired } from "#src/features/sessions/public";
import { changeIdentitiesAction, listProvidersAction, readIdentitiesAction } from "./identities.actions.ts";
import {
  identityLast,
  identityNotFound,
  identityTaken,
  identityTooMany,
  providerAway,
  providerDenied,
  providerNotFound,
  redirectRefused,
  responseRefused,
  stateInvalid,
} from "./identities.errors.ts";
import {
  beginBody,
  begunSchema,
  identitiesSchema,
  identityParams,
  identitySchema,
  providerParams,
  providersSchema,
  returnedBody,
} from "./identities.schemas.ts";
import { beginLink, completeLink } from "./link-identity.ts";
import { listIdentities, unlinkIdentity } from "./own-identities.ts";

type Deps = Parameters<typeof completeLink>[0] & {
  /** Waits until this process itself has read what was just committed. */
  readonly revocationsSettled: () => Promise<void>;
};

const own = { kind: "account" } as const;

export const identitiesRoutes = [
  route({
    method: "get",
    path: "/api/auth/oidc",
    tag: "auth",
    summary: "The providers that one may sign in through",
    answers: { 200: { description: "As they are configured; none by default", body: providersSchema } },
    problems: [],
    throttle: listProvidersAction,
    needs: { kind: "anyone" },
    handle: async ({ providers }: Deps) => ({
      status: 200,
      body: { data: providers.all.map(({ id, displayName, newAccounts }) => ({ id, displayName, newAccounts })) },
    }),
  }),
  route({
    method: "get",
    path: "/api/users/me/identities",
    tag: "auth",
    summary: "The identities that sign in to the account",
    answers: { 200: { description: "The oldest first; 10 at most", body: identitiesSchema } },
    problems: [],
    throttle: readIdentitiesAction,
    needs: own,
    handle: async (deps: Deps, { actor }) => ({ status: 200, body: { data: await listIdentities(deps, actor) } }),
  }),
  route({
    method: "post",
    path: "/api/users/me/identities/:provider/begin",
    tag: "auth",
    summary: "Begin to link an identity",
    description: "Good for ten minutes and this session. Wants a sign-in or step-up within the last ten minutes.",
    params: providerParams,
    body: beginBody,
    answers: { 200: { description: "Where to send the browser", body: begunSchema } },
    problems: [providerNotFound, providerAway, redirectRefused, stepUpRequired],
    throttle: changeIdentitiesAction,
    needs: own,
    handle: async (deps: Deps, { actor, params, body }) => ({ status: 200, body: await beginLink(deps, { actor, ...params, ...body }) }),
  }),
  route({
    method: "post",
    path: "/api/users/me/identities/:provider/complete",
    tag: "auth",
    summary: "Link the identity that the provider has signed in",
    description:
      "From then on it signs in to the account; a second factor is asked for all the same. Wants a fresh session as the beginning does.",
    params: providerParams,
    body: returnedBody,
    answers: { 201: { description: "The identity", body: identitySchema } },
    problems: [
      providerNotFound,
      providerAway,
      providerDenied,
      responseRefused,
      stateInvalid,
      identityTaken,
      identityTooMany,
      stepUpRequired,
      userNotFound,
    ],
    throttle: changeIdentitiesAction,
    needs: own,
    handle: async (deps: Deps, { actor, params, body }) => ({ status: 201, body: await completeLink(deps, { actor, ...params, ...body }) }),
  }),
  route({
    method: "delete",
    path: "/api/users/me/identities/:id",
    tag: "auth",
    summary: "Unlink an identity",
    description: "Other sessions end. The last way to sign in cannot be unlinked. Wants a sign-in or step-up within the last ten minutes.",
    params: identityParams,
    answers: { 204: { description: "It opens nothing any more" } },
    problems: [identityNotFound, identityLast, stepUpRequired],
    throttle: changeIdentitiesAction,
    needs: own,
    handle: async (deps: Deps, { actor, params }) => {
      await unlinkIdentity(deps, { actor, id: params.id });
      await deps.revocationsSettled();
      return { status: 204 };
    },
  }),
];
