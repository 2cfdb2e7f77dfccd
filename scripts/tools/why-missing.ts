/** What a person without a tool needs to know, in one line. */

import type { Clock } from "#src/kernel/clock";
import type { Environment } from "./find.ts";
import { cacheFolder, findPinned } from "./find.ts";
import { recentFailure } from "./memory.ts";
import type { Tools } from "./pins.ts";
import { pinKey } from "./pins.ts";

/** Where the tool `name` was looked for, what became of getting it, and what to do. */
export function whyMissing(deps: { readonly tools: Tools; readonly clock: Clock; readonly env: Environment }, name: string): string {
  const { pinned, debian } = deps.tools;
  const [pin, debianPackage] = [pinned[name], debian[name]];
  if (pin !== undefined) {
    const finding = findPinned(pin, deps.env);
    const places = finding.path === undefined ? finding.reasons : [];
    return [`${pin.version}: ${places.join(", ")}`, ...remembered(deps, pinKey(pin)), "npm run tools gets it"].join("; ");
  }
  if (debianPackage === undefined) return "not found in TOOLS_DIR or on PATH: install it";
  const tried = remembered(deps, debianPackage);
  return ["not found in TOOLS_DIR or on PATH", ...tried, `install it (Debian: apt-get install ${debianPackage})`].join("; ");
}

function remembered({ env, clock }: { readonly env: Environment; readonly clock: Clock }, what: string): string[] {
  const failure = recentFailure(cacheFolder(env), what, clock.now());
  return failure === undefined ? [] : [`tried on ${failure.at}: ${failure.reasons.join(", ")}`];
}
