/** Giving and taking roles. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { writeRoles } from "#src/features/accounts/public";
import { addNotice } from "#src/features/notices/public";
import { distrustDevices, revokeAll } from "#src/features/sessions/public";
import type { Role } from "#src/kernel/actor";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { lastAdmin } from "./admin.errors.ts";
import { lockAdmins, otherAdminExists } from "./admin.sql.ts";
import { lockTarget, record, type Change } from "./parties.ts";

interface Needs {
  readonly db: Db;
  readonly log: Log;
}

/**
 * Sets an account's roles; its sessions end, since tokens name roles. Roles that are so already change nothing.
 * @throws Problem `user.not_found`, `role.insufficient`, `admin.own_account`, `admin.last`, `step_up.required`
 */
export async function changeRoles(deps: Needs, change: Change & { readonly roles: readonly Role[] }): Promise<void> {
  const { userId, roles } = change;
  const changed = await inTx(
    deps.db,
    async (tx) => {
      await lockAdmins(tx);
      const { roles: before } = await lockTarget(tx, change);
      if (sameRoles(before, roles)) return false;
      if (before.includes("admin") && !roles.includes("admin") && !(await otherAdminExists(tx, userId))) throw new Problem(lastAdmin);
      await writeRoles(tx, userId, roles);
      await revokeAll(tx, userId, "role_changed");
      await distrustDevices(tx, userId);
      await record(tx, change, "account.roles_changed", { before, after: roles });
      await addNotice(tx, userId, { type: "security.roles_changed", data: { roles: [...roles] } });
      return true;
    },
    { durable: true },
  );
  if (changed) securityEvent(deps.log, { kind: "roles.changed", userId, ...byOf(change), reason: roles.join(" ") });
}

function sameRoles(one: readonly Role[], other: readonly Role[]): boolean {
  return one.length === other.length && one.every((role) => other.includes(role));
}

/** Who it was, for the security stream. */
export function byOf({ by }: Change): { readonly actorId?: string } {
  return by === "operator" ? {} : { actorId: by.userId };
}
