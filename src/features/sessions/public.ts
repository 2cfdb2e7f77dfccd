/** The door of sessions: beginning and ending them, and the words in which a restriction is told. */

export type { AccessTokens } from "./access-token.ts";
export { beginSession, type SessionTokens } from "./begin-session.ts";
export { selectSessionState, standingNotice, type RestrictionNotice } from "./gate.sql.ts";
export type { RefreshTokens } from "./refresh-token.ts";
export { announceChange, revokeAll } from "./revoke.ts";
export { accountRestricted, capabilityLimited, gateProblems } from "./sessions.errors.ts";
export { noticeSchema, sessionSchema, tokensSchema } from "./sessions.views.ts";
