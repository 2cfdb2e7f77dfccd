/** What each neighbour may ask of people, by its app id. Whoever is not in here may ask nothing. */

import { PAIR_ACTIONS, PRIVATE_FIELDS, type PairAction, type PrivateField } from "#src/contract/people";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { outsideScope } from "./neighbours.errors.ts";

interface Scope {
  readonly actions: readonly PairAction[];
  readonly fields: readonly PrivateField[];
}

const nothing: Scope = { actions: [], fields: [] };

/** Each has what its work needs. To widen one is a change of code that somebody reviews. */
const SCOPES: ReadonlyMap<string, Scope> = new Map<string, Scope>([
  ["social-service", { actions: ["view", "view_profile", "message", "follow"], fields: [] }],
  ["chat-service", { actions: ["view", "watch", "type", "message"], fields: [] }],
  ["media-service", { actions: ["view", "view_profile"], fields: [] }],
  ["moderation-service", { actions: ["view"], fields: ["roles", "standing"] }],
  ["notification-service", { actions: ["view", "message"], fields: ["email", "emailVerified", "locale"] }],
]);

/** App ids that may ask at all. */
export const ASKERS: readonly string[] = [...SCOPES.keys()];

/** The actions this app is told of: those it named, or all of its own. @throws Problem `scope.refused` */
export function actionsFor(log: Log, caller: string, wanted: readonly PairAction[] | undefined): readonly PairAction[] {
  const { actions } = SCOPES.get(caller) ?? nothing;
  refuseOutside(log, caller, { wanted, scope: actions });
  return wanted === undefined ? actions : PAIR_ACTIONS.filter((action) => wanted.includes(action));
}

/** The fields this app named. None that it did not name. @throws Problem `scope.refused` */
export function fieldsFor(log: Log, caller: string, wanted: readonly PrivateField[] | undefined): readonly PrivateField[] {
  refuseOutside(log, caller, { wanted, scope: (SCOPES.get(caller) ?? nothing).fields });
  return PRIVATE_FIELDS.filter((field) => wanted?.includes(field) === true);
}

function refuseOutside(
  log: Log,
  caller: string,
  { wanted = [], scope }: { readonly wanted: readonly string[] | undefined; readonly scope: readonly string[] },
): void {
  const outside = wanted.filter((one) => !scope.includes(one));
  if (outside.length === 0) return;
  securityEvent(log, { kind: "access.denied", reason: `${caller} may not ask for ${outside.join(", ")}` });
  throw new Problem(outsideScope, { detail: `This app may not ask for ${outside.join(", ")}` });
}
