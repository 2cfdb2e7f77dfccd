/** One's preferences over REST. */

import type { Db } from "#src/db/pool";
import { userNotFound } from "#src/features/accounts/public";
import { route } from "#src/http/route";
import { account } from "#src/kernel/actor";
import { changePreferencesAction, readPreferencesAction } from "./preferences.actions.ts";
import { changePreferences, readPreferences } from "./preferences.ts";
import { preferencesChange, preferencesView } from "./preferences.schemas.ts";

interface Deps {
  readonly db: Db;
}

export const preferencesRoutes = [
  route({
    method: "get",
    path: "/api/users/me/preferences",
    tag: "users",
    summary: "How you like the service to look, speak and tell",
    answers: { 200: { description: "Your preferences, whole", body: preferencesView } },
    problems: [userNotFound],
    throttle: readPreferencesAction,
    needs: account,
    handle: async (deps: Deps, { actor }) => ({ status: 200, body: await readPreferences(deps, actor) }),
  }),
  route({
    method: "patch",
    path: "/api/users/me/preferences",
    tag: "users",
    summary: "Change your preferences",
    description: "What is left out stays, at every depth. Notices of security and moderation are always told, in the app and by mail.",
    body: preferencesChange,
    answers: { 200: { description: "Your preferences, changed", body: preferencesView } },
    problems: [userNotFound],
    throttle: changePreferencesAction,
    needs: account,
    handle: async (deps: Deps, { actor, body }) => ({ status: 200, body: await changePreferences(deps, { actor, change: body }) }),
  }),
];
