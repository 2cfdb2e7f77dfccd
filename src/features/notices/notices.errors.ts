/** What the notices feature refuses with. */

import { problem } from "#src/kernel/problem";

export const noticeNotFound = problem("notice.not_found", 404, "You have no such notice");
