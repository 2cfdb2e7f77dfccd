/** Signing in through another provider, over REST. */

import { route } from "#src/http/route";
import { username, usernameTaken } from "#src/features/accounts/public";
import {
  beginBody,
  beginExchange,
  begunSchema,
  providerAway,
  providerDenied,
  providerNotFound,
  providerParams,
  redirectRefused,
  responseRefused,
  returnedBody,
  stateInvalid,
} from "#src/features/identities/public";
import { csrfRefused, signInReads, type SessionCookies } from "#src/features/sessions/public";
import { loginByProvider } from "./provider-login.ts";
import { beginProviderAction, providerLoginAction } from "./sign-in.actions.ts";
import {
  credentialsInvalid,
  identityAddressMissing,
  identityAddressTaken,
  identityAddressUnproved,
  identityUnknown,
  mfaEnrolmentRequired,
  mfaRequired,
} from "./sign-in.errors.ts";
import { loginAnswerSchema, loginBody } from "./sign-in.schemas.ts";

type Deps = Parameters<typeof loginByProvider>[0] & { readonly sessionCookies: SessionCookies };

const anyone = { kind: "anyone" } as const;

const completeBody = returnedBody.extend({
  username: username.optional().describe("For an account that is made by this; where it is taken, one like it"),
  deviceToken: loginBody.shape.deviceToken,
});

export const providerRoutes = [
  route({
    method: "post",
    path: "/api/auth/oidc/:provider/begin",
    tag: "auth",
    summary: "Begin to sign in through another provider",
    description: "Good for ten minutes. Keep `binding` in the client that began: nobody else can complete it.",
    params: providerParams,
    body: beginBody,
    answers: { 200: { description: "Where to send the browser", body: begunSchema } },
    problems: [providerNotFound, providerAway, redirectRefused],
    throttle: beginProviderAction,
    needs: anyone,
    handle: async (deps: Deps, { params, body }) => ({ status: 200, body: await beginExchange(deps, { ...params, ...body }) }),
  }),
  route({
    method: "post",
    path: "/api/auth/oidc/:provider/complete",
    tag: "auth",
    summary: "Sign in by what the provider sent back",
    description:
      "Once. Where nobody has the identity yet an account is made, if the provider may; an address that has an account is never taken over: sign in to it and link. A second factor is asked for, as at login.",
    params: providerParams,
    body: completeBody,
    reads: signInReads,
    answers: { 200: { description: "The account and a new session", body: loginAnswerSchema } },
    problems: [
      csrfRefused,
      providerNotFound,
      providerAway,
      providerDenied,
      responseRefused,
      stateInvalid,
      identityUnknown,
      identityAddressMissing,
      identityAddressUnproved,
      identityAddressTaken,
      usernameTaken,
      credentialsInvalid,
      mfaRequired,
      mfaEnrolmentRequired,
    ],
    throttle: providerLoginAction,
    needs: anyone,
    handle: async (deps: Deps, { params, body, head, client }) => {
      const asCookie = deps.sessionCookies.areWanted(head, client);
      return { status: 200, ...deps.sessionCookies.signInAnswer(await loginByProvider(deps, { ...params, ...body, client }), asCookie) };
    },
  }),
];
