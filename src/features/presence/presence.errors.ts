/** What presence refuses with. */

import { problem } from "#src/kernel/problem";

export const tooManyWatched = problem(
  "presence.too_many_watched",
  409,
  "This connection watches as many people as it may; stop watching some first",
);
