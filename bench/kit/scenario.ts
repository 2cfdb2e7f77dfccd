/** The shape of a scenario. */

import type { Bench } from "./bench.ts";
import type { Named, Outcome } from "./report.ts";

/** One question to the service, answered in at most a minute, or ten seconds where `bench.pace.quick`. */
export interface Scenario extends Named {
  readonly run: (bench: Bench) => Promise<Outcome>;
}
