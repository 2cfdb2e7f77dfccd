/** The door of sessions: beginning and ending them, and the words in which a restriction is told. */

export type { AccessTokens } from "./access-token.ts";
export { beginImpersonation, type Impersonation } from "./begin-impersonation.ts";
export { beginSession, type SessionTokens } from "./begin-session.ts";
export { impersonationWait, selectImpersonated, selectImpersonations, type ListedImpersonation } from "./impersonations.sql.ts";
export { selectSessionState, standingNotice, type RestrictionNotice } from "./gate.sql.ts";
export { loginReads, signInReads, type SessionCookies } from "./session-cookies.ts";
export { deviceOf } from "./device.ts";
export type { KeyRingSource } from "./key-ring-source.ts";
export { isNewDevice } from "./new-device.ts";
export type { RefreshTokens } from "./refresh-token.ts";
export { announceChange, revokeAll, revokeOthers, revokeSession } from "./revoke.ts";
export type { SessionLimits } from "./session-limits.ts";
export {
  accountRestricted,
  capabilityLimited,
  csrfRefused,
  gateProblems,
  sessionNotFound,
  sessionRevoked,
  stepUpRequired,
} from "./sessions.errors.ts";
export { noticeSchema, sessionSchema, tokensSchema, type PlaceOf, type SessionView } from "./sessions.views.ts";
export { listSessionsOf } from "./list-sessions.ts";
export { markAuthenticated, requireFresh } from "./step-up.ts";
export { distrustDevices, trustDevice, trustedUntil } from "./trusted-devices.ts";
