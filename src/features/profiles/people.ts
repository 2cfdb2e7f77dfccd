/** Reading people: one by name or id, or many for a list. */

import { isSameName, userNotFound } from "#src/features/accounts/public";
import type { Db } from "#src/db/pool";
import { isUuid } from "#src/kernel/ids";
import { Problem } from "#src/kernel/problem";
import { decide, type Decision, type SocialAction, type Viewer } from "#src/policy/decide";
import { refusalOf, refuse } from "./profiles.errors.ts";
import { selectPeople, selectPerson, type PersonKey, type PersonRow } from "./profiles.sql.ts";
import { personView, privateView, profileView, unavailableView, type Facets, type PersonView, type ProfileView } from "./profiles.views.ts";

interface Needs {
  readonly db: Db;
}

/** What a username may look like; anything else names nobody and costs no statement. */
const NAME = /^[a-z0-9_.]{3,30}$/i;

/**
 * Someone's profile as the viewer may see it; null is a visitor, who does not find people by names they have left: whoever fled under
 * another name is not to be followed by who is blocked and signs out.
 * @param input.idOrUsername a UUID, or a username in any case (a username has no hyphen, so it is never both), also one that was left lately
 * @throws Problem `user.not_found`, also where either blocked the other
 */
export async function readProfile(
  deps: Needs,
  input: { readonly viewer: Viewer | null; readonly idOrUsername: string },
): Promise<ProfileView> {
  const key = keyOf(input.idOrUsername);
  const person = key === undefined ? undefined : await selectPerson(deps.db, input.viewer?.userId ?? null, key);
  if (person === undefined) throw new Problem(userNotFound);
  const decision = decide(input.viewer, person, person, "view");
  const isMoved = key !== undefined && "username" in key && !isSameName(key.username, person.username);
  if (isMoved && input.viewer === null) throw new Problem(userNotFound);
  const moved = isMoved ? { movedFrom: key.username } : {};
  if (isUnavailable(decision)) return { ...unavailableView(person), ...moved };
  refuse(decision);
  if (!may(input.viewer, person, "view_profile")) return { ...privateView(person), ...moved };
  return { ...profileView(person, facetsFor(input.viewer, person)), ...moved };
}

function may(viewer: Viewer | null, person: PersonRow, action: SocialAction): boolean {
  return decide(viewer, person, person, action) === "allow";
}

function facetsFor(viewer: Viewer | null, person: PersonRow): Facets {
  return {
    email: may(viewer, person, "view_email"),
    followersList: may(viewer, person, "view_followers"),
    followingList: may(viewer, person, "view_following"),
  };
}

/** What the viewer may see of many people beside their profiles; who is not there is not in it. One statement. */
export async function readFacets(
  deps: Needs,
  input: { readonly viewer: Viewer; readonly ids: readonly string[] },
): Promise<ReadonlyMap<string, Facets>> {
  const found = await selectPeople(deps.db, input.viewer.userId, input.ids);
  return new Map(found.map((person) => [person.id, facetsFor(input.viewer, person)]));
}

function keyOf(idOrUsername: string): PersonKey | undefined {
  if (isUuid(idOrUsername)) return { id: idOrUsername };
  return NAME.test(idOrUsername) ? { username: idOrUsername } : undefined;
}

/**
 * The people of a list, in the order of `ids`: hydrates them in one statement, asks the policy again in memory, presents.
 * Whoever may not be seen is left out; whose profile is not for the viewer is shown with their names; with "view" a restricted
 * one is shown as unavailable.
 */
export async function readPeople(
  deps: Needs,
  input: { readonly viewer: Viewer; readonly ids: readonly string[]; readonly action: "view" | "find" },
): Promise<PersonView[]> {
  if (input.ids.length === 0) return [];
  const found = new Map((await selectPeople(deps.db, input.viewer.userId, input.ids)).map((person) => [person.id, person]));
  return input.ids.flatMap((id) => {
    const person = found.get(id);
    return person === undefined ? [] : present(input.viewer, person, input.action);
  });
}

function present(viewer: Viewer, person: PersonRow, action: "view" | "find"): PersonView[] {
  const decision = decide(viewer, person, person, action);
  if (decision === "allow") return [may(viewer, person, "view_profile") ? personView(person) : privateView(person)];
  return action === "view" && isUnavailable(decision) ? [unavailableView(person)] : [];
}

/** Refuses unless the viewer may do `action` to this person. @throws Problem as `refuse` */
export async function requirePerson(
  deps: Needs,
  input: { readonly viewer: Viewer; readonly id: string; readonly action: SocialAction },
): Promise<void> {
  const refusal = (await readRefusals(deps, { ...input, ids: [input.id] })).get(input.id);
  if (refusal !== undefined) throw refusal;
}

/** Why the viewer may not do `action`, of each of these people to whom they may not. One statement. */
export async function readRefusals(
  deps: Needs,
  input: { readonly viewer: Viewer; readonly ids: readonly string[]; readonly action: SocialAction },
): Promise<ReadonlyMap<string, Problem>> {
  if (input.ids.length === 0) return new Map();
  const found = new Map((await selectPeople(deps.db, input.viewer.userId, input.ids)).map((person) => [person.id, person]));
  return new Map(
    input.ids.flatMap((id) => {
      const person = found.get(id);
      const refusal = person === undefined ? new Problem(userNotFound) : refusalOf(decide(input.viewer, person, person, input.action));
      return refusal === undefined ? [] : [[id, refusal] as const];
    }),
  );
}

function isUnavailable(decision: Decision): boolean {
  return decision !== "allow" && decision.refuse === "unavailable";
}
