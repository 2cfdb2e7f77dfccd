/** Signing in by a mail, over REST. */

import { z } from "zod";
import { route } from "#src/http/route";
import { signInThrottled } from "#src/features/factors/public";
import { csrfRefused, signInReads, type SessionCookies } from "#src/features/sessions/public";
import { codeInvalid, linkInvalid } from "#src/features/one-time-tokens/public";
import { requestEmailSignIn, signInByEmail } from "./email-sign-in.ts";
import { forgotAction, mfaAction } from "./sign-in.actions.ts";
import { credentialsInvalid, emailSignInOff, mfaEnrolmentRequired, mfaRequired } from "./sign-in.errors.ts";
import { emailProofBody, forgotBody, loginAnswerSchema } from "./sign-in.schemas.ts";

type Deps = Parameters<typeof signInByEmail>[0] & { readonly sessionCookies: SessionCookies };

const asked = z.object({ status: z.literal("mail_sent").describe("If that address has an account") });

export const emailSignInRoutes = [
  route({
    method: "post",
    path: "/api/auth/magic-link",
    tag: "auth",
    summary: "Have a code for signing in mailed",
    description:
      "Answers alike whether the address has an account or not. The code is good for ten minutes and one use. Needs EMAIL_SIGN_IN=on.",
    body: forgotBody,
    answers: { 202: { description: "Taken", body: asked } },
    problems: [emailSignInOff, signInThrottled],
    throttle: forgotAction,
    needs: { kind: "anyone" },
    handle: async (deps: Deps, { body, client }) => {
      await requestEmailSignIn(deps, { ...body, client });
      return { status: 202, body: { status: "mail_sent" as const } };
    },
  }),
  route({
    method: "post",
    path: "/api/auth/magic-link/verify",
    tag: "auth",
    summary: "Sign in by a mailed code or link",
    description: "`token` is what the link of the mail has after `#token=`. An account with a second factor is asked for it, as at login.",
    body: emailProofBody,
    reads: signInReads,
    answers: { 200: { description: "The account and a new session", body: loginAnswerSchema } },
    problems: [
      csrfRefused,
      emailSignInOff,
      codeInvalid,
      linkInvalid,
      credentialsInvalid,
      mfaRequired,
      mfaEnrolmentRequired,
      signInThrottled,
    ],
    throttle: mfaAction,
    needs: { kind: "anyone" },
    handle: async (deps: Deps, { body, head, client }) => {
      const asCookie = deps.sessionCookies.areWanted(head, client);
      const { deviceToken, ...proof } = body;
      return { status: 200, ...deps.sessionCookies.signInAnswer(await signInByEmail(deps, { proof, deviceToken, client }), asCookie) };
    },
  }),
];
