/** What the graph refuses with besides the policy's refusals. */

import { problem } from "#src/kernel/problem";

export const followSelf = problem("follow.self", 409, "Nobody can follow themselves");
export const followTooMany = problem("follow.too_many", 429, "You followed, or asked to follow, too many new people in a day");
export const followTooManyWaiting = problem("follow.too_many_waiting", 409, "Too many of your requests to follow wait; take some back");
export const blockSelf = problem("block.self", 409, "Nobody can block themselves");
export const muteSelf = problem("mute.self", 409, "Nobody can mute themselves");
export const followRequestNotFound = problem("follow_request.not_found", 404, "There is no such request to follow you");
