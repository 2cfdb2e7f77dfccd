/** The first admin: made by `migrate` or standalone, once, only while there is none. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { userRegistered } from "#src/contract/event-types";
import { appendEvent } from "#src/events/append";
import { adminExists, emailAddress, insertUser, staffUsername } from "#src/features/accounts/public";
import type { Clock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { securityEvent, type Log } from "#src/kernel/log";
import type { PasswordHasher } from "./password-hash.ts";
import { insertCredentials, lockFirstAdmin } from "./sign-in.sql.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
  readonly hasher: Pick<PasswordHasher, "hash">;
}

/**
 * Makes the admin unless there is one.
 * @throws Problem `username.taken`, `email.taken`; ZodError for a name or address that cannot be one
 */
export async function ensureFirstAdmin(
  deps: Needs,
  admin: { readonly username: string; readonly email: string; readonly password: string },
): Promise<"made" | "there-is-one"> {
  if (await adminExists(deps.db)) return "there-is-one";
  const username = staffUsername.parse(admin.username);
  const email = emailAddress.parse(admin.email);
  const passwordHash = await deps.hasher.hash(admin.password);
  const outcome = await inTx(deps.db, async (tx) => {
    await lockFirstAdmin(tx);
    if (await adminExists(tx)) return "there-is-one" as const;
    const user = await insertUser(tx, { id: newUuid(deps.clock), username, email, displayName: username, roles: ["user", "admin"] });
    await insertCredentials(tx, { userId: user.id, passwordHash });
    await appendEvent(tx, userRegistered, {
      subject: user.id,
      data: { userId: user.id, username, displayName: username, avatarUrl: null, createdAt: user.created_at.toISOString() },
    });
    return "made" as const;
  });
  if (outcome === "made") securityEvent(deps.log, { kind: "admin.created" });
  return outcome;
}
