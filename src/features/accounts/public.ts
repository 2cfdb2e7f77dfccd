/** The door of accounts: who exists, how they stand, and the only ways to make one or change its standing. */

export { emailTaken, userNotFound, usernameTaken } from "./accounts.errors.ts";
export type { Status } from "./accounts.rows.ts";
export { emailAddress, staffUsername, username } from "./accounts.schemas.ts";
export {
  adminExists,
  insertUser,
  lockAccount,
  lockFacts,
  selectFacts as userFacts,
  selectIdByName as findUserId,
  writeProfile,
  writeStanding as setStatus,
  type ProfilePart,
  type Standing,
  type UserFacts,
} from "./accounts.sql.ts";
export { accountSchema, accountView, type AccountColumns, type AccountView } from "./accounts.views.ts";
