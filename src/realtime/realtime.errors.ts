/** What the socket kit itself refuses with; what events refuse with comes from their features. */

import { problem } from "#src/kernel/problem";

export const eventUnknown = problem("event.unknown", 404, "There is no such event");
export const eventQueueFull = problem("event.queue_full", 429, "Wait for earlier events of this connection to be answered");
export const tokenOfAnother = problem("token.of_another_session", 403, "The token belongs to another session than this connection");
