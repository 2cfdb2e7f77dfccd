/** What the graph refuses with besides the policy's refusals. */

import { problem } from "#src/kernel/problem";

export const followSelf = problem("follow.self", 409, "Nobody can follow themselves");
