/** Signing in with a passkey over REST: alone, or as the second factor. */

import { route } from "#src/http/route";
import { csrfRefused, signInReads, type SessionCookies } from "#src/features/sessions/public";
import {
  passkeyChallengeInvalid,
  passkeyInvalid,
  passkeyNotFound,
  requestOptionsSchema,
  signInThrottled,
} from "#src/features/factors/public";
import { answerByPasskey, askByChallenge } from "./mfa-passkey.ts";
import { loginByPasskey, offerPasskeyLogin } from "./passkey-login.ts";
import { mfaAction, passkeyLoginAction, passkeyOptionsAction, stepUpAction } from "./sign-in.actions.ts";
import { credentialsInvalid, mfaChallengeInvalid } from "./sign-in.errors.ts";
import { offerStepUp, stepUpByPasskey } from "./step-up-by-passkey.ts";
import { challengeBody, loginAnswerSchema, passkeyAnswerBody, passkeyLoginBody } from "./sign-in.schemas.ts";

type Deps = Parameters<typeof loginByPasskey>[0] &
  Parameters<typeof answerByPasskey>[0] &
  Parameters<typeof stepUpByPasskey>[0] & { readonly sessionCookies: SessionCookies };

const anyone = { kind: "anyone" } as const;
const own = { kind: "account" } as const;

export const passkeyRoutes = [
  route({
    method: "post",
    path: "/api/auth/passkeys/login/options",
    tag: "auth",
    summary: "Begin to sign in with a passkey",
    description: "Names no account: the authenticator offers what passkeys it has for this site. Good for five minutes.",
    answers: { 200: { description: "What to ask the authenticator", body: requestOptionsSchema } },
    problems: [],
    throttle: passkeyOptionsAction,
    needs: anyone,
    handle: async (deps: Deps) => ({ status: 200, body: await offerPasskeyLogin(deps) }),
  }),
  route({
    method: "post",
    path: "/api/auth/passkeys/login",
    tag: "auth",
    summary: "Sign in with a passkey",
    description: "It must have verified its user, by finger, face or PIN; it counts as both factors then.",
    body: passkeyLoginBody,
    reads: signInReads,
    answers: { 200: { description: "The account and a new session", body: loginAnswerSchema } },
    problems: [csrfRefused, passkeyInvalid, passkeyChallengeInvalid, credentialsInvalid],
    throttle: passkeyLoginAction,
    needs: anyone,
    handle: async (deps: Deps, { body, head, client }) => {
      const asCookie = deps.sessionCookies.areWanted(head, client);
      return { status: 200, ...deps.sessionCookies.signInAnswer(await loginByPasskey(deps, { ...body, client }), asCookie) };
    },
  }),
  route({
    method: "post",
    path: "/api/auth/mfa/passkey/options",
    tag: "auth",
    summary: "Begin to complete a sign-in by a passkey",
    description: "`challenge` is in the refusal `mfa.required` of login, where `methods` has `passkey`. Uses none of its tries.",
    body: challengeBody,
    answers: { 200: { description: "What to ask the authenticator", body: requestOptionsSchema } },
    problems: [mfaChallengeInvalid, passkeyNotFound],
    throttle: mfaAction,
    needs: anyone,
    handle: async (deps: Deps, { body }) => ({ status: 200, body: await askByChallenge(deps, body) }),
  }),
  route({
    method: "post",
    path: "/api/auth/mfa/passkey",
    tag: "auth",
    summary: "Complete a sign-in by a passkey",
    body: passkeyAnswerBody,
    reads: signInReads,
    answers: { 200: { description: "The account and a new session", body: loginAnswerSchema } },
    problems: [csrfRefused, mfaChallengeInvalid, passkeyInvalid, credentialsInvalid, signInThrottled],
    throttle: mfaAction,
    needs: anyone,
    handle: async (deps: Deps, { body, head, client }) => {
      const asCookie = deps.sessionCookies.areWanted(head, client);
      return { status: 200, ...deps.sessionCookies.signInAnswer(await answerByPasskey(deps, { ...body, client }), asCookie) };
    },
  }),
  route({
    method: "post",
    path: "/api/auth/step-up/passkey/options",
    tag: "auth",
    summary: "Begin to prove once more who you are, by a passkey",
    answers: { 200: { description: "What to ask the authenticator", body: requestOptionsSchema } },
    problems: [passkeyNotFound],
    throttle: passkeyOptionsAction,
    needs: own,
    handle: async (deps: Deps, { actor }) => ({ status: 200, body: await offerStepUp(deps, actor) }),
  }),
  route({
    method: "post",
    path: "/api/auth/step-up/passkey",
    tag: "auth",
    summary: "Prove once more who you are by a passkey, for the next ten minutes",
    description: "It must have verified its user, by finger, face or PIN: then it is enough, without the password.",
    body: passkeyLoginBody,
    answers: { 204: { description: "The session is fresh" } },
    problems: [passkeyInvalid, passkeyChallengeInvalid],
    throttle: stepUpAction,
    needs: own,
    handle: async (deps: Deps, { actor, body }) => {
      await stepUpByPasskey(deps, { actor, ...body });
      return { status: 204 };
    },
  }),
];
