/** What neighbours are refused with. */

import { problem } from "#src/kernel/problem";

export const outsideScope = problem("scope.refused", 403, "This app may not ask for that");
