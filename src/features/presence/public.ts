/** The door of presence, for the process that keeps it. */

export { Presence } from "./presence.ts";
