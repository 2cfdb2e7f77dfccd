/** One's privacy over REST. */

import type { Db } from "#src/db/pool";
import { userNotFound } from "#src/features/accounts/public";
import { route } from "#src/http/route";
import { account, accountOrLook } from "#src/kernel/actor";
import { changePrivacy, readPrivacy } from "./privacy.ts";
import { changePrivacyAction, readPrivacyAction } from "./profiles.actions.ts";
import { privacyChange } from "./profiles.schemas.ts";
import { privacySchema, privacyView } from "./profiles.views.ts";

interface Deps {
  readonly db: Db;
}

export const privacyRoutes = [
  route({
    method: "get",
    path: "/api/users/me/privacy",
    tag: "users",
    summary: "Whom you let see and do what",
    answers: { 200: { description: "Your settings", body: privacySchema } },
    problems: [],
    throttle: readPrivacyAction,
    needs: accountOrLook,
    handle: async (deps: Deps, { actor }) => ({ status: 200, body: privacyView(await readPrivacy(deps, actor)) }),
  }),
  route({
    method: "patch",
    path: "/api/users/me/privacy",
    tag: "users",
    summary: "Change whom you let see and do what",
    description:
      "What is left out stays. Holds at once, also for those who watch you already. Requests to follow that wait are neither accepted nor " +
      "dropped when you need them no more.",
    body: privacyChange,
    answers: { 200: { description: "Your settings, changed", body: privacySchema } },
    problems: [userNotFound],
    throttle: changePrivacyAction,
    needs: account,
    handle: async (deps: Deps, { actor, body }) => ({
      status: 200,
      body: privacyView(await changePrivacy(deps, { actor, change: body })),
    }),
  }),
];
