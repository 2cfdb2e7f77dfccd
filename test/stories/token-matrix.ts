/** Every path that takes or gives a token, and what it must answer in each state of an account: the table of `token-matrix.db.test.ts`. */

/** What became of an account, or of its session, after its tokens were given. */
export const STATES = [
  "active",
  "unverified",
  "limited",
  "suspended",
  "banned",
  "deactivated",
  "erased",
  "role changed",
  "password changed",
  "session revoked",
  "key retired",
] as const;
export type State = (typeof STATES)[number];

/** Who may pass a door that wants an access token. */
export type Admits =
  /** Accounts that are not restricted. */
  | "accounts"
  /** Those, and the short session that a suspended or banned account gets at login. */
  | "restricted too"
  /** Those whose limit did not take the capability. */
  | "capable"
  | "staff";

/** Method and path as in the OpenAPI document → whom it admits; undefined where no access token is looked at. */
export const DOORS: Readonly<Record<string, Admits | undefined>> = {
  "POST /api/auth/register": undefined,
  "POST /api/auth/login": undefined,
  "POST /api/auth/refresh": undefined,
  "POST /api/auth/forgot-password": undefined,
  "POST /api/auth/reset-password": undefined,
  "POST /api/auth/verify-email": undefined,
  "POST /api/auth/resend-verification": undefined,
  "POST /api/auth/magic-link": undefined,
  "POST /api/auth/magic-link/verify": undefined,
  "POST /api/auth/mfa/verify": undefined,
  "POST /api/auth/mfa/enrol": undefined,
  "POST /api/auth/mfa/passkey/options": undefined,
  "POST /api/auth/mfa/passkey": undefined,
  "POST /api/auth/passkeys/login/options": undefined,
  "POST /api/auth/passkeys/login": undefined,
  "GET /api/auth/oidc": undefined,
  "POST /api/auth/oidc/{provider}/begin": undefined,
  "POST /api/auth/oidc/{provider}/complete": undefined,
  "GET /.well-known/jwks.json": undefined,
  "GET /health": undefined,
  "GET /health/ready": undefined,
  "GET /health/services": undefined,
  "GET /health/metrics": undefined,
  "GET /metrics": undefined,
  "GET /api/websocket/info": undefined,

  "POST /api/auth/logout": "restricted too",
  "POST /api/auth/logout-all": "restricted too",
  "GET /api/users/me/notices": "restricted too",
  "PATCH /api/users/me/notices/{id}": "restricted too",
  "POST /api/users/me/notices/read": "restricted too",

  "GET /api/auth/sessions": "accounts",
  "DELETE /api/auth/sessions/{id}": "accounts",
  "PATCH /api/auth/sessions/{id}": "accounts",
  "POST /api/auth/sessions/revoke-others": "accounts",
  "GET /api/auth/trusted-devices": "accounts",
  "DELETE /api/auth/trusted-devices": "accounts",
  "DELETE /api/auth/trusted-devices/{id}": "accounts",
  "POST /api/auth/change-password": "accounts",
  "POST /api/auth/change-email": "accounts",
  "POST /api/auth/step-up": "accounts",
  "POST /api/auth/step-up/passkey/options": "accounts",
  "POST /api/auth/step-up/passkey": "accounts",
  "GET /api/auth/mfa": "accounts",
  "POST /api/auth/mfa/totp": "accounts",
  "POST /api/auth/mfa/totp/confirm": "accounts",
  "DELETE /api/auth/mfa/totp": "accounts",
  "POST /api/auth/recovery-codes": "accounts",
  "POST /api/auth/passkeys/options": "accounts",
  "POST /api/auth/passkeys": "accounts",
  "GET /api/auth/passkeys": "accounts",
  "PATCH /api/auth/passkeys/{id}": "accounts",
  "DELETE /api/auth/passkeys/{id}": "accounts",
  "GET /api/users/me/identities": "accounts",
  "POST /api/users/me/identities/{provider}/begin": "accounts",
  "POST /api/users/me/identities/{provider}/complete": "accounts",
  "DELETE /api/users/me/identities/{id}": "accounts",
  "GET /api/users/me": "accounts",
  "PATCH /api/users/me": "capable",
  "GET /api/users/{idOrUsername}": "accounts",
  "GET /api/users": "accounts",
  "GET /api/users/relationships": "accounts",
  "GET /api/users/search": "accounts",
  "GET /api/users/suggestions": "accounts",
  "DELETE /api/users/suggestions/{id}": "accounts",
  "POST /api/users/{id}/follow": "capable",
  "DELETE /api/users/{id}/follow": "accounts",
  "GET /api/users/{id}/followers": "accounts",
  "GET /api/users/{id}/following": "accounts",
  "GET /api/users/me/privacy": "accounts",
  "GET /api/users/me/preferences": "accounts",
  "PATCH /api/users/me/preferences": "accounts",
  "PATCH /api/users/me/privacy": "accounts",
  "DELETE /api/users/me/followers/{id}": "accounts",
  "GET /api/users/me/follow-requests": "accounts",
  "POST /api/users/me/follow-requests/{id}/accept": "accounts",
  "POST /api/users/me/follow-requests/{id}/reject": "accounts",
  "POST /api/users/{id}/block": "accounts",
  "DELETE /api/users/{id}/block": "accounts",
  "GET /api/users/me/blocks": "accounts",
  "POST /api/users/{id}/mute": "accounts",
  "DELETE /api/users/{id}/mute": "accounts",
  "GET /api/users/me/mutes": "accounts",

  "POST /api/moderation/users/{id}/restrictions": "staff",
  "DELETE /api/moderation/restrictions/{id}": "staff",
  "GET /api/moderation/users/{id}": "staff",
  "GET /api/websocket/stats": "staff",
  "GET /api/admin/users": "staff",
  "POST /api/admin/users": "staff",
  "GET /api/admin/users/{id}": "staff",
  "PUT /api/admin/users/{id}/roles": "staff",
  "POST /api/admin/users/{id}/force-reset": "staff",
  "POST /api/admin/users/{id}/unlock": "staff",
  "POST /api/admin/users/{id}/reset-mfa": "staff",
  "GET /api/admin/users/{id}/sessions": "staff",
  "POST /api/admin/users/{id}/end-sessions": "staff",
  "POST /api/admin/users/{id}/sessions/{sessionId}/end": "staff",
  "POST /api/admin/users/{id}/impersonate": "staff",
  "GET /api/admin/impersonations": "staff",
  "DELETE /api/admin/impersonations/{id}": "staff",
};

/** Doors of the table, and root fields of GraphQL, that let in whoever sends no token, where PUBLIC_PROFILES is on and only there. */
export const OPEN_TO_VISITORS: ReadonlySet<string> = new Set(["GET /api/users/{idOrUsername}", "Query.user"]);

const RESTRICTED = "account.restricted";
const REVOKED = "session.revoked";

/** What a token of before gets; `admitted` is any answer that is none of the gate's refusals. */
export const TOKEN_OF_BEFORE: Readonly<Record<State, string>> = {
  active: "admitted",
  unverified: "admitted",
  limited: "admitted",
  suspended: RESTRICTED,
  banned: RESTRICTED,
  deactivated: REVOKED,
  erased: REVOKED,
  "role changed": REVOKED,
  "password changed": REVOKED,
  "session revoked": REVOKED,
  "key retired": "token.invalid",
};

/** What a refresh token of before gets. */
export const REFRESH_TOKEN_OF_BEFORE: Readonly<Record<State, string>> = {
  ...TOKEN_OF_BEFORE,
  active: "tokens",
  unverified: "tokens",
  limited: "tokens",
  "key retired": "refresh.invalid",
};

/** What the password of before gets at login; `short` is a session without a refresh token. */
export const PASSWORD_OF_BEFORE: Readonly<Record<State, string>> = {
  active: "tokens",
  unverified: "tokens",
  limited: "tokens",
  suspended: "short",
  banned: "short",
  deactivated: "credentials.invalid",
  erased: "credentials.invalid",
  "role changed": "tokens",
  "password changed": "credentials.invalid",
  "session revoked": "tokens",
  "key retired": "tokens",
};

/** What a right code gets for a challenge of before. */
export const CHALLENGE_OF_BEFORE: Readonly<Record<State, string>> = {
  ...PASSWORD_OF_BEFORE,
  "password changed": "mfa.challenge_invalid",
  "key retired": "mfa.challenge_invalid",
};

/**
 * What the token of a device that was trusted before gets, beside the password as it is now. (An admin who changes roles ends the
 * trust as well: `trusted-devices.db.test.ts`; here only sessions end.)
 */
export const TRUSTED_DEVICE_OF_BEFORE: Readonly<Record<State, string>> = {
  ...PASSWORD_OF_BEFORE,
  "password changed": "mfa.required",
  "key retired": "mfa.required",
};

/** What a mailed code for signing in of before gets. */
export const EMAIL_CODE_OF_BEFORE: Readonly<Record<State, string>> = {
  ...PASSWORD_OF_BEFORE,
  "password changed": "link.invalid",
  "key retired": "link.invalid",
};

/** What an identity of before gets: it is the provider's word, which no password and no key of ours is part of. */
export const IDENTITY_OF_BEFORE: Readonly<Record<State, string>> = { ...PASSWORD_OF_BEFORE, "password changed": "tokens" };

/** What a sign-in through a provider gets that was begun before, and is completed where the keys are. */
export const PROVIDER_STATE_OF_BEFORE: Readonly<Record<State, string>> = {
  ...IDENTITY_OF_BEFORE,
  "key retired": "oidc.state_invalid",
};

/** What a mailed link for a new password of before gets; `set` gives no token. */
export const RESET_LINK_OF_BEFORE: Readonly<Record<State, string>> = {
  active: "set",
  unverified: "set",
  limited: "set",
  suspended: "set",
  banned: "set",
  deactivated: "link.invalid",
  erased: "link.invalid",
  "role changed": "set",
  "password changed": "link.invalid",
  "session revoked": "set",
  "key retired": "link.invalid",
};
