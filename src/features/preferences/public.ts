/** The door of preferences: where somebody wants to be told of what. */

export { channelsFor } from "./preferences.ts";
export type { NoticeKind } from "./versions.ts";
