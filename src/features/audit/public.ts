/** The door of audit: one way in, none to change. */

export { appendAudit } from "./append.ts";
