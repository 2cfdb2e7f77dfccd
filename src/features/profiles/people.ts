/** Reading people: one by name or id, or many for a list. */

import { userNotFound } from "#src/features/accounts/public";
import type { Db } from "#src/db/pool";
import { isUuid } from "#src/kernel/ids";
import { Problem } from "#src/kernel/problem";
import { decide, type Decision, type SocialAction, type Viewer } from "#src/policy/decide";
import { refuse } from "./profiles.errors.ts";
import { selectPeople, selectPerson, type PersonKey, type PersonRow } from "./profiles.sql.ts";
import { personView, profileView, unavailableView, type PersonView, type ProfileView } from "./profiles.views.ts";

interface Needs {
  readonly db: Db;
}

/** What a username may look like; anything else names nobody and costs no statement. */
const NAME = /^[a-z0-9_.]{3,30}$/i;

/**
 * Someone's profile as the viewer may see it.
 * @param input.idOrUsername a UUID, or a username in any case (a username has no hyphen, so it is never both)
 * @throws Problem `user.not_found`, also where either blocked the other
 */
export async function readProfile(deps: Needs, input: { readonly viewer: Viewer; readonly idOrUsername: string }): Promise<ProfileView> {
  const key = keyOf(input.idOrUsername);
  const person = key === undefined ? undefined : await selectPerson(deps.db, input.viewer.userId, key);
  if (person === undefined) throw new Problem(userNotFound);
  const decision = decide(input.viewer, person, person, "view");
  if (isUnavailable(decision)) return unavailableView(person);
  refuse(decision);
  return profileView(person);
}

function keyOf(idOrUsername: string): PersonKey | undefined {
  if (isUuid(idOrUsername)) return { id: idOrUsername };
  return NAME.test(idOrUsername) ? { username: idOrUsername } : undefined;
}

/**
 * The people of a list, in the order of `ids`: hydrates them in one statement, asks the policy again in memory, presents.
 * Whoever may not be seen is left out; with "view" a restricted one is shown as unavailable.
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
  if (decision === "allow") return [personView(person)];
  return action === "view" && isUnavailable(decision) ? [unavailableView(person)] : [];
}

/** Refuses unless the viewer may do `action` to this person. @throws Problem as `refuse` */
export async function requirePerson(
  deps: Needs,
  input: { readonly viewer: Viewer; readonly id: string; readonly action: SocialAction },
): Promise<void> {
  const [person] = await selectPeople(deps.db, input.viewer.userId, [input.id]);
  if (person === undefined) throw new Problem(userNotFound);
  refuse(decide(input.viewer, person, person, input.action));
}

function isUnavailable(decision: Decision): boolean {
  return decision !== "allow" && decision.refuse === "unavailable";
}
