/** The door of profiles: people as a viewer may see them, and how the policy's refusals are told. */

export { readFacets, readPeople, readRefusals, requirePerson } from "./people.ts";
export { profileUpdated } from "./profiles.consumers.ts";
export { refuse, userIsStaff, userPrivate, userUnavailable } from "./profiles.errors.ts";
export { idsQuery, manyIds } from "./profiles.schemas.ts";
export { personSchema, type PersonView } from "./profiles.views.ts";
export { markTie } from "./tie-changes.sql.ts";
