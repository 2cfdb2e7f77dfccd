/** Profiles over REST. */

import { userNotFound, usernameChangedOften, usernameTaken } from "#src/features/accounts/public";
import { accountRestricted, capabilityLimited, stepUpRequired } from "#src/features/sessions/public";
import type { Db } from "#src/db/pool";
import { route } from "#src/http/route";
import { accountOrLook } from "#src/kernel/actor";
import { readMe, updateProfile } from "./me.ts";
import { readPeople, readProfile } from "./people.ts";
import { editsProfile, readMeAction, readPeopleAction, readProfileAction, readsProfile, updateProfileAction } from "./profiles.actions.ts";
import { idsQuery, personParams, profileChange } from "./profiles.schemas.ts";
import { meSchema, peopleSchema, profileSchema } from "./profiles.views.ts";

interface Deps {
  readonly db: Db;
  readonly config: { readonly avatarHosts: readonly string[] | undefined };
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
    needs: accountOrLook,
    handle: async (deps: Deps, { actor }) => ({ status: 200, body: await readMe(deps, actor) }),
  }),
  route({
    method: "patch",
    path: "/api/users/me",
    tag: "users",
    summary: "Change your own profile",
    description:
      "What is left out stays. The address is not changed here. Another username wants a sign-in or step-up within the last ten minutes and is " +
      "possible twice in 30 days (`username.changed_often` says in `possibleAt` when again); the old one leads to you for 90 days, in which " +
      "nobody else can take it and you can take it back.",
    body: profileChange,
    answers: { 200: { description: "You, changed", body: meSchema } },
    problems: [userNotFound, accountRestricted, capabilityLimited, usernameTaken, usernameChangedOften, stepUpRequired],
    throttle: updateProfileAction,
    needs: editsProfile,
    handle: async (deps: Deps, { actor, body }) => ({ status: 200, body: await updateProfile(deps, { actor, change: body }) }),
  }),
  route({
    method: "get",
    path: "/api/users",
    tag: "users",
    summary: "Many people by their ids, as in lists",
    description:
      "In the order of the ids, each once. Who is not there for you is left out, as is an id that nobody has. For whoever shows things of many people.",
    query: idsQuery,
    answers: { 200: { description: "One page", body: peopleSchema } },
    problems: [],
    throttle: readPeopleAction,
    needs: accountOrLook,
    handle: async (deps: Deps, { actor, query }) => ({
      status: 200,
      body: { data: await readPeople(deps, { viewer: actor, ids: query.ids, action: "view" }), pagination: { nextCursor: null } },
    }),
  }),
  route({
    method: "get",
    path: "/api/users/:idOrUsername",
    tag: "users",
    summary: "Someone's profile, by id or by username",
    description:
      'A restricted account is shown as `{id, username, status: "unavailable"}`, somebody who does not show you their profile with ' +
      '`status: "private"` and their names. Whoever blocked you, or you blocked, is not there, by no name. A name that somebody left in the last ' +
      "90 days leads to them, and `movedFrom` repeats it. Without a token (PUBLIC_PROFILES) whoever is not for everyone to find is not there, by " +
      "no name, and neither are names that were left; of others there is what a stranger sees, but never the address.",
    params: personParams,
    answers: { 200: { description: "The profile as you may see it", body: profileSchema } },
    problems: [userNotFound],
    throttle: readProfileAction,
    needs: readsProfile,
    handle: async (deps: Deps, { actor, params }) => ({
      status: 200,
      body: await readProfile(deps, { viewer: actor ?? null, idOrUsername: params.idOrUsername }),
    }),
  }),
];
