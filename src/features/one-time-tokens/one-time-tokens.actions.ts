/** How often codes may be tried, across processes. */

import type { Action } from "#src/kernel/actor";

/** By one address of the network, whosever codes they are. */
export const codeAddressBudget: Action = { name: "one_time_tokens.code.address", limit: 60, windowSeconds: 15 * 60 };
