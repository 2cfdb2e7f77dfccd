/** What links and codes are refused with. */

import { problem } from "#src/kernel/problem";

export const linkInvalid = problem("link.invalid", 400, "The link was used already, has ended, or is not whole; ask for another one");
export const codeInvalid = problem("code.invalid", 400, "The code is not right, or it has ended; ask for another one");
