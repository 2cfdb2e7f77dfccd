/** One's own second factors over REST. */

import { route } from "#src/http/route";
import { userNotFound } from "#src/features/accounts/public";
import { stepUpRequired } from "#src/features/sessions/public";
import { changeFactorsAction, readFactorsAction } from "./factors.actions.ts";
import { factorCodeWrong, signInThrottled, totpExists, totpNotFound } from "./factors.errors.ts";
import { codeBody, factorsSchema, recoveryCodesSchema, totpOfferSchema } from "./factors.schemas.ts";
import { readFactors } from "./read-factors.ts";
import { confirmTotp, offerTotp, removeTotp, renewRecoveryCodes } from "./totp-factor.ts";

type Deps = Parameters<typeof offerTotp>[0] & {
  /** Waits until this process itself has read what was just committed. */
  readonly revocationsSettled: () => Promise<void>;
};

const own = { kind: "account" } as const;

export const factorsRoutes = [
  route({
    method: "get",
    path: "/api/auth/mfa",
    tag: "auth",
    summary: "The second factors of the account",
    answers: { 200: { description: "What there is", body: factorsSchema } },
    problems: [],
    throttle: readFactorsAction,
    needs: own,
    handle: async (deps: Deps, { actor }) => ({ status: 200, body: await readFactors(deps, actor) }),
  }),
  route({
    method: "post",
    path: "/api/auth/mfa/totp",
    tag: "auth",
    summary: "Begin to add an authenticator app",
    description: "It is a factor once confirm got a code of it. Wants a sign-in or step-up within the last ten minutes.",
    answers: { 201: { description: "The secret for the app", body: totpOfferSchema } },
    problems: [totpExists, stepUpRequired, userNotFound],
    throttle: changeFactorsAction,
    needs: own,
    handle: async (deps: Deps, { actor }) => ({ status: 201, body: await offerTotp(deps, actor) }),
  }),
  route({
    method: "post",
    path: "/api/auth/mfa/totp/confirm",
    tag: "auth",
    summary: "Add the authenticator app by its first code",
    body: codeBody,
    answers: { 200: { description: "It is asked for from now on", body: recoveryCodesSchema } },
    problems: [factorCodeWrong, totpExists, totpNotFound, stepUpRequired, signInThrottled],
    throttle: changeFactorsAction,
    needs: own,
    handle: async (deps: Deps, { actor, body }) => ({ status: 200, body: await confirmTotp(deps, { actor, ...body }) }),
  }),
  route({
    method: "delete",
    path: "/api/auth/mfa/totp",
    tag: "auth",
    summary: "Remove the authenticator app",
    description:
      "Other sessions end. The last factor takes the recovery codes with it. Wants a sign-in or step-up within the last ten minutes.",
    answers: { 204: { description: "It is not asked for any more" } },
    problems: [totpNotFound, stepUpRequired],
    throttle: changeFactorsAction,
    needs: own,
    handle: async (deps: Deps, { actor }) => {
      await removeTotp(deps, actor);
      await deps.revocationsSettled();
      return { status: 204 };
    },
  }),
  route({
    method: "post",
    path: "/api/auth/recovery-codes",
    tag: "auth",
    summary: "New recovery codes in place of all others",
    answers: { 201: { description: "Ten codes", body: recoveryCodesSchema } },
    problems: [totpNotFound, stepUpRequired],
    throttle: changeFactorsAction,
    needs: own,
    handle: async (deps: Deps, { actor }) => ({ status: 201, body: await renewRecoveryCodes(deps, actor) }),
  }),
];
