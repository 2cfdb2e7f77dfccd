/** Registering and signing in over REST. */

import { route } from "#src/http/route";
import { emailTaken, usernameTaken } from "#src/features/accounts/public";
import { login } from "./login.ts";
import { register } from "./register.ts";
import { loginAction, registerAction } from "./sign-in.actions.ts";
import { credentialsInvalid, hashingBusy, passwordUnsuitable, signInThrottled } from "./sign-in.errors.ts";
import { loginAnswerSchema, loginBody, registerBody, signedInSchema } from "./sign-in.schemas.ts";

type Deps = Parameters<typeof register>[0] & Parameters<typeof login>[0];

export const signInRoutes = [
  route({
    method: "post",
    path: "/api/auth/register",
    tag: "auth",
    summary: "Make an account and sign in to it",
    body: registerBody,
    answers: { 201: { description: "The account and its first session", body: signedInSchema.required({ refreshToken: true }) } },
    problems: [usernameTaken, emailTaken, passwordUnsuitable, hashingBusy],
    throttle: registerAction,
    needs: { kind: "anyone" },
    handle: async (deps: Deps, { body, client }) => ({ status: 201, body: await register(deps, { ...body, client }) }),
  }),
  route({
    method: "post",
    path: "/api/auth/login",
    tag: "auth",
    summary: "Sign in with user name or e-mail address",
    description: "A suspended or banned account gets a session of 15 minutes that may read its notices and log out, and no refresh token.",
    body: loginBody,
    answers: { 200: { description: "The account and a new session", body: loginAnswerSchema } },
    problems: [credentialsInvalid, signInThrottled, hashingBusy],
    throttle: loginAction,
    needs: { kind: "anyone" },
    handle: async (deps: Deps, { body, client }) => ({ status: 200, body: await login(deps, { ...body, client }) }),
  }),
];
