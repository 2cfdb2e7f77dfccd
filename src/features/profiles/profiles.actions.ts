/** How often the doors of profiles may be tried, and by whom. */

import type { Access, Action } from "#src/kernel/actor";

export const readMeAction: Action = { name: "profiles.me", limit: 1200, windowSeconds: 60 };
export const readProfileAction: Action = { name: "profiles.read", limit: 600, windowSeconds: 60 };
export const readPeopleAction: Action = { name: "profiles.read_many", limit: 300, windowSeconds: 60 };
export const updateProfileAction: Action = { name: "profiles.update", limit: 30, windowSeconds: 60 };
export const readPrivacyAction: Action = { name: "profiles.privacy", limit: 300, windowSeconds: 60 };
export const changePrivacyAction: Action = { name: "profiles.change_privacy", limit: 30, windowSeconds: 60 };

/** By address: enough for people who read, little for who copies. */
const visitProfileAction: Action = { name: "profiles.visit", limit: 60, windowSeconds: 60 };

/** Accounts, and visitors where PUBLIC_PROFILES lets them. The same on REST and GraphQL. */
export const readsProfile = { kind: "account", impersonation: "reads", visitors: visitProfileAction } as const satisfies Access;
export const editsProfile = { kind: "account", capability: "edit_profile", impersonation: { writes: "profile" } } as const satisfies Access;
