/** The door of profiles: people as a viewer may see them, and how the policy's refusals are told. */

export { readPeople, requirePerson } from "./people.ts";
export { refuse, userUnavailable } from "./profiles.errors.ts";
export { personSchema, type PersonView } from "./profiles.views.ts";
