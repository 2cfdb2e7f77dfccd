/** Making an account for somebody, who sets its password by a mailed link. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { userRegistered } from "#src/contract/event-types";
import { appendEvent } from "#src/events/append";
import { insertUser } from "#src/features/accounts/public";
import { requireFresh } from "#src/features/sessions/public";
import { mailReset } from "#src/features/sign-in/public";
import type { Clock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import type { Locale } from "#src/kernel/locale";
import type { Log } from "#src/kernel/log";
import { selectUser } from "./admin.sql.ts";
import { adminUserView, type AdminUserView } from "./admin.views.ts";
import { record, type Administrator } from "./parties.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
}

/** Already checked for form. */
export interface Invitation {
  readonly by: Administrator;
  readonly email: string;
  readonly username: string;
  readonly displayName?: string | undefined;
  readonly locale: Locale;
  readonly reason: string;
}

/** Makes the account and has the link mailed. Roles are given afterwards. @throws Problem `username.taken`, `email.taken`, `step_up.required` */
export async function invite(deps: Needs, invitation: Invitation): Promise<AdminUserView> {
  const { by, email, username, displayName = username, locale, reason } = invitation;
  return await inTx(deps.db, async (tx) => {
    if (by !== "operator") await requireFresh(tx, by.sessionId);
    const user = await insertUser(tx, {
      id: newUuid(deps.clock),
      username,
      email,
      displayName,
      roles: ["user"],
      locale,
      emailVerified: false,
    });
    await appendEvent(tx, userRegistered, {
      subject: user.id,
      data: { userId: user.id, username, displayName, avatarUrl: null, createdAt: user.created_at.toISOString() },
    });
    await mailReset(deps, tx, { userId: user.id, email, invited: true });
    await record(tx, { by, userId: user.id, reason }, "account.created");
    const made = await selectUser(tx, user.id);
    if (made === undefined) throw new Error("the account just made is not there");
    return adminUserView(made);
  });
}
