/** Registering, signing in and passwords over REST. */

import { z } from "zod";
import { signInThrottled } from "#src/features/factors/public";
import { route } from "#src/http/route";
import { emailTaken, usernameTaken } from "#src/features/accounts/public";
import { linkInvalid } from "#src/features/one-time-tokens/public";
import { csrfRefused, loginReads, signInReads, type SessionCookies } from "#src/features/sessions/public";
import type { Config } from "#src/config/config";
import { forgotPassword } from "./forgot-password.ts";
import { login } from "./login.ts";
import { register } from "./register.ts";
import { requestRegistration } from "./request-registration.ts";
import { changePassword, resetPassword } from "./set-password.ts";
import { changePasswordAction, forgotAction, loginAction, registerAction, resetAction } from "./sign-in.actions.ts";
import {
  credentialsInvalid,
  hashingBusy,
  mfaEnrolmentRequired,
  passwordMustChange,
  mfaRequired,
  passwordUnsuitable,
  passwordWrong,
} from "./sign-in.errors.ts";
import {
  changePasswordBody,
  forgotBody,
  loginAnswerSchema,
  loginBody,
  registerBody,
  resetBody,
  revokedSchema,
  signedInSchema,
} from "./sign-in.schemas.ts";

type Deps = Parameters<typeof register>[0] &
  Parameters<typeof login>[0] &
  Parameters<typeof requestRegistration>[0] &
  Parameters<typeof resetPassword>[0] & {
    readonly config: Pick<Config, "registration">;
    readonly sessionCookies: SessionCookies;
    /** Waits until this process itself has read what was just committed. */
    readonly revocationsSettled: () => Promise<void>;
  };

const asked = z.object({ status: z.literal("mail_sent").describe("If there is a reason to write to that address") });
const MAIL_SENT = { status: "mail_sent" } as const;

export const signInRoutes = [
  route({
    method: "post",
    path: "/api/auth/register",
    tag: "auth",
    summary: "Make an account and sign in to it",
    description:
      "With REGISTRATION=verified the answer is always 202, and the account is made when the mailed link or code is used: see verify-email.",
    body: registerBody,
    reads: signInReads,
    answers: {
      201: { description: "The account and its first session", body: signedInSchema },
      202: { description: "A mail was sent to the address (REGISTRATION=verified)", body: asked },
    },
    problems: [csrfRefused, usernameTaken, emailTaken, passwordUnsuitable, hashingBusy, signInThrottled],
    throttle: registerAction,
    needs: { kind: "anyone" },
    handle: async (deps: Deps, { body, head, client }) => {
      const asCookie = deps.sessionCookies.areWanted(head, client);
      if (deps.config.registration === "open")
        return { status: 201, ...deps.sessionCookies.signInAnswer(await register(deps, { ...body, client }), asCookie) };
      await requestRegistration(deps, { ...body, client });
      return { status: 202, body: MAIL_SENT };
    },
  }),
  route({
    method: "post",
    path: "/api/auth/login",
    tag: "auth",
    summary: "Sign in with user name or e-mail address",
    description:
      "A suspended or banned account gets a session of 15 minutes that may read its notices and log out, and no refresh token. " +
      "An account with a second factor is refused with `mfa.required`, whose `mfa.challenge` goes with a code to mfa/verify, or with a passkey to mfa/passkey.",
    body: loginBody,
    reads: loginReads,
    answers: { 200: { description: "The account and a new session", body: loginAnswerSchema } },
    problems: [csrfRefused, credentialsInvalid, passwordMustChange, mfaRequired, mfaEnrolmentRequired, signInThrottled, hashingBusy],
    throttle: loginAction,
    needs: { kind: "anyone" },
    handle: async (deps: Deps, { body, head, client }) => {
      const asCookie = deps.sessionCookies.areWanted(head, client);
      const deviceCookie = asCookie ? deps.sessionCookies.deviceToken(head) : undefined;
      return { status: 200, ...deps.sessionCookies.signInAnswer(await login(deps, { ...body, deviceCookie, client }), asCookie) };
    },
  }),
  route({
    method: "post",
    path: "/api/auth/forgot-password",
    tag: "auth",
    summary: "Have a link for a new password mailed",
    description: "Answers alike whether the address has an account or not. The link is good for one hour and one use.",
    body: forgotBody,
    answers: { 202: { description: "Taken", body: asked } },
    problems: [signInThrottled],
    throttle: forgotAction,
    needs: { kind: "anyone" },
    handle: async (deps: Deps, { body, client }) => {
      await forgotPassword(deps, { ...body, client });
      return { status: 202, body: MAIL_SENT };
    },
  }),
  route({
    method: "post",
    path: "/api/auth/reset-password",
    tag: "auth",
    summary: "Set a new password by a mailed link",
    description:
      "`token` is the last part of the link's path, or `passwordChange.token` of a login refused with `password.must_change`. Every session ends unless `keepSessions` is true; all do where the link is the first proof of the address.",
    body: resetBody,
    answers: { 200: { description: "The password is set", body: revokedSchema } },
    problems: [linkInvalid, passwordUnsuitable, hashingBusy],
    throttle: resetAction,
    needs: { kind: "anyone" },
    handle: async (deps: Deps, { body, client }) => {
      const set = await resetPassword(deps, { ...body, client });
      await deps.revocationsSettled();
      return { status: 200, body: set };
    },
  }),
  route({
    method: "post",
    path: "/api/auth/change-password",
    tag: "auth",
    summary: "Set a new password by the current one",
    description: "This session stays, the account's other ones end.",
    body: changePasswordBody,
    answers: { 200: { description: "The password is set", body: revokedSchema } },
    problems: [passwordWrong, passwordUnsuitable, signInThrottled, hashingBusy],
    throttle: changePasswordAction,
    needs: { kind: "account" },
    handle: async (deps: Deps, { actor, body }) => {
      const set = await changePassword(deps, { actor, ...body });
      await deps.revocationsSettled();
      return { status: 200, body: set };
    },
  }),
];
