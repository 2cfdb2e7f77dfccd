/** The first admin: made by `migrate` or standalone, once, only while there is none. */

import type { z } from "zod";
import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { userRegistered } from "#src/contract/event-types";
import { appendEvent } from "#src/events/append";
import { adminExists, emailAddress, emailTaken, insertUser, staffUsername, usernameTaken } from "#src/features/accounts/public";
import type { Clock } from "#src/kernel/clock";
import { DEFAULT_LOCALE } from "#src/kernel/locale";
import { newUuid } from "#src/kernel/ids";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import type { PasswordHasher } from "./password-hash.ts";
import { insertCredentials, lockFirstAdmin } from "./sign-in.sql.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
  readonly hasher: Pick<PasswordHasher, "hash">;
}

/** The admin cannot be made with what was given: a setting to be put right. */
export class FirstAdminRefused extends Error {
  override readonly name = "FirstAdminRefused";
  readonly field: "username" | "email";

  constructor(field: "username" | "email", message: string) {
    super(message);
    this.field = field;
  }
}

/**
 * Makes the admin unless there is one.
 * @param admin.mustChange whether the password is good for setting another one only
 * @throws FirstAdminRefused for a name or address that cannot be one, or is somebody's
 */
export async function ensureFirstAdmin(
  deps: Needs,
  admin: { readonly username: string; readonly email: string; readonly password: string; readonly mustChange?: boolean },
): Promise<"made" | "there-is-one"> {
  if (await adminExists(deps.db)) return "there-is-one";
  const username = parsed("username", staffUsername, admin.username);
  const email = parsed("email", emailAddress, admin.email);
  const passwordHash = await deps.hasher.hash(admin.password);
  const outcome = await inTx(deps.db, async (tx) => {
    await lockFirstAdmin(tx);
    if (await adminExists(tx)) return "there-is-one" as const;
    const user = await insertUser(tx, {
      id: newUuid(deps.clock),
      username,
      email,
      displayName: username,
      roles: ["user", "admin"],
      locale: DEFAULT_LOCALE,
      emailVerified: false,
    });
    await insertCredentials(tx, { userId: user.id, passwordHash, mustChange: admin.mustChange ?? false });
    await appendEvent(tx, userRegistered, {
      subject: user.id,
      data: { userId: user.id, username, displayName: username, avatarUrl: null, createdAt: user.created_at.toISOString() },
    });
    return "made" as const;
  }).catch((error: unknown) => {
    throw refusalOf(error) ?? error;
  });
  if (outcome === "made") securityEvent(deps.log, { kind: "admin.created" });
  return outcome;
}

function parsed(field: "username" | "email", schema: z.ZodType<string>, value: string): string {
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  throw new FirstAdminRefused(field, read.error.issues.map(({ message }) => message).join("; "));
}

function refusalOf(error: unknown): FirstAdminRefused | undefined {
  if (!(error instanceof Problem)) return undefined;
  if (error.code === usernameTaken.code) return new FirstAdminRefused("username", "somebody who is no admin has this name");
  return error.code === emailTaken.code ? new FirstAdminRefused("email", "somebody who is no admin has this address") : undefined;
}
