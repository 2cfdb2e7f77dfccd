/** The door of accounts: who exists, how they stand, and the only ways to make one or change its standing. */

export { emailTaken, userNotFound, usernameChangedOften, usernameTaken } from "./accounts.errors.ts";
export type { Status } from "./accounts.rows.ts";
export { bio, displayName, emailAddress, staffUsername, username } from "./accounts.schemas.ts";
export {
  adminExists,
  hasEnded,
  insertUser,
  lockAccount,
  lockFacts,
  selectFacts as userFacts,
  selectIdByName as findUserId,
  selectAddressee as addresseeOf,
  selectAddresseeById as addresseeById,
  selectLocale as userLocale,
  writeEmail,
  writeLocale,
  writeProfile,
  writeRoles,
  writeStanding as setStatus,
  writeVerified,
  type ProfilePart,
  type Standing,
  type UserFacts,
} from "./accounts.sql.ts";
export { detailsKeys, detailsOf, isPlainHttpsUrl, type Details } from "./details.ts";
export { accountSchema, accountView, type AccountColumns, type AccountView } from "./accounts.views.ts";
export { insertUsers, selectHolders, type BatchAccount, type Holders, type MadeAccount } from "./insert-users.sql.ts";
export { isSameName, selectRenameWait as renameWait, writeUsername } from "./usernames.sql.ts";
export { hasWayIn } from "./ways-in.sql.ts";
