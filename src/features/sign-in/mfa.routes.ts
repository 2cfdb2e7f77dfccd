/** Second factors at sign-in, and proving them again, over REST. */

import { route } from "#src/http/route";
import { userNotFound } from "#src/features/accounts/public";
import { factorCodeWrong, signInThrottled, totpExists, totpNotFound, totpOfferSchema } from "#src/features/factors/public";
import { csrfRefused, signInReads, type SessionCookies } from "#src/features/sessions/public";
import { answerChallenge, enrolByChallenge } from "./answer-challenge.ts";
import { mfaAction, stepUpAction } from "./sign-in.actions.ts";
import { credentialsInvalid, hashingBusy, mfaChallengeInvalid, passwordWrong } from "./sign-in.errors.ts";
import { answerBody, answeredSchema, challengeBody, stepUpBody } from "./sign-in.schemas.ts";
import { stepUp } from "./step-up.ts";

type Deps = Parameters<typeof answerChallenge>[0] & Parameters<typeof stepUp>[0] & { readonly sessionCookies: SessionCookies };

export const mfaRoutes = [
  route({
    method: "post",
    path: "/api/auth/mfa/verify",
    tag: "auth",
    summary: "Complete a sign-in by a second factor",
    description:
      "`challenge` is in the refusal `mfa.required` or `mfa.enrolment_required` of login; `code` six digits of the app, or a recovery code. " +
      "A challenge has five tries and one use.",
    body: answerBody,
    reads: signInReads,
    answers: { 200: { description: "The account and a new session", body: answeredSchema } },
    problems: [csrfRefused, mfaChallengeInvalid, factorCodeWrong, credentialsInvalid, signInThrottled, totpExists, totpNotFound],
    throttle: mfaAction,
    needs: { kind: "anyone" },
    handle: async (deps: Deps, { body, head, client }) => {
      const asCookie = deps.sessionCookies.areWanted(head, client);
      return { status: 200, ...deps.sessionCookies.signInAnswer(await answerChallenge(deps, { ...body, client }), asCookie) };
    },
  }),
  route({
    method: "post",
    path: "/api/auth/mfa/enrol",
    tag: "auth",
    summary: "Begin to add an authenticator app where sign-in wants one first",
    description: "`challenge` is in the refusal `mfa.enrolment_required` of login; its first code at verify completes both.",
    body: challengeBody,
    answers: { 201: { description: "The secret for the app", body: totpOfferSchema } },
    problems: [mfaChallengeInvalid, totpExists, userNotFound],
    throttle: mfaAction,
    needs: { kind: "anyone" },
    handle: async (deps: Deps, { body }) => ({ status: 201, body: await enrolByChallenge(deps, body) }),
  }),
  route({
    method: "post",
    path: "/api/auth/step-up",
    tag: "auth",
    summary: "Prove once more who you are, for the next ten minutes",
    description: "Sensitive changes want it. An account with a second factor gives a code as well.",
    body: stepUpBody,
    answers: { 204: { description: "The session is fresh" } },
    problems: [passwordWrong, factorCodeWrong, signInThrottled, hashingBusy],
    throttle: stepUpAction,
    needs: { kind: "account" },
    handle: async (deps: Deps, { actor, body }) => {
      await stepUp(deps, { actor, ...body });
      return { status: 204 };
    },
  }),
];
