/** What changing an address is refused with. */

import { problem } from "#src/kernel/problem";

export const emailUnchanged = problem("email.unchanged", 409, "That is the account's address already");
