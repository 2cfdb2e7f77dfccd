/** Profiles over REST. */

import { userNotFound } from "#src/features/accounts/public";
import { accountRestricted, capabilityLimited } from "#src/features/sessions/public";
import type { Db } from "#src/db/pool";
import { route } from "#src/http/route";
import { readMe, updateProfile } from "./me.ts";
import { readProfile } from "./people.ts";
import { readMeAction, readProfileAction, updateProfileAction } from "./profiles.actions.ts";
import { personParams, profileChange } from "./profiles.schemas.ts";
import { meSchema, profileSchema } from "./profiles.views.ts";

interface Deps {
  readonly db: Db;
}

export const profilesRoutes = [
  route({
    method: "get",
    path: "/api/users/me",
    tag: "users",
    summary: "Your own account",
    answers: { 200: { description: "You", body: meSchema } },
    problems: [userNotFound],
    throttle: readMeAction,
    needs: { kind: "account" },
    handle: async (deps: Deps, { actor }) => ({ status: 200, body: await readMe(deps, actor) }),
  }),
  route({
    method: "patch",
    path: "/api/users/me",
    tag: "users",
    summary: "Change your own profile",
    description: "What is left out stays. The username and the address are not changed here.",
    body: profileChange,
    answers: { 200: { description: "You, changed", body: meSchema } },
    problems: [userNotFound, accountRestricted, capabilityLimited],
    throttle: updateProfileAction,
    needs: { kind: "account", capability: "edit_profile" },
    handle: async (deps: Deps, { actor, body }) => ({ status: 200, body: await updateProfile(deps, { actor, change: body }) }),
  }),
  route({
    method: "get",
    path: "/api/users/:idOrUsername",
    tag: "users",
    summary: "Someone's profile, by id or by username",
    description:
      'A restricted account is shown as `{id, username, status: "unavailable"}`. Whoever blocked you, or you blocked, is not there.',
    params: personParams,
    answers: { 200: { description: "The profile as you may see it", body: profileSchema } },
    problems: [userNotFound],
    throttle: readProfileAction,
    needs: { kind: "account" },
    handle: async (deps: Deps, { actor, params }) => ({
      status: 200,
      body: await readProfile(deps, { viewer: actor, idOrUsername: params.idOrUsername }),
    }),
  }),
];
