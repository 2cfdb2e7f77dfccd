/** The door of restrictions: what others refuse with in their words. */

export { roleInsufficient } from "./restrictions.errors.ts";
