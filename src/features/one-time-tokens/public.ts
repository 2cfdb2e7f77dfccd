/** The door of one-time tokens: asking for a link, presenting one, using it up. */

export { createOneTimeTokens, type OneTimeTokens } from "./one-time-token.ts";
export { codeInvalid, linkInvalid } from "./one-time-tokens.errors.ts";
export {
  assignToken,
  findUsable,
  insertToken,
  markUsed,
  newestUsable,
  takeBound,
  takeTryOf,
  voidLaterTokens,
  voidTokens,
  type OneTimeToken,
} from "./one-time-tokens.sql.ts";
export { LIFETIME_SECONDS, type Purpose } from "./purposes.ts";
export { requestLink, type TokenMailJob } from "./request.ts";
export { present, readLink, use, type Presented, type Proof } from "./use.ts";
