/** People for tests, in one line: `const { ann, bob } = await people(db, { ann: {}, bob: { roles: ["user", "moderator"] } })`. */

import { insertUser } from "#src/features/accounts/public";
import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import type { Role } from "#src/kernel/actor";
import { systemClock } from "#src/kernel/clock";
import { newUuid, type UserId } from "#src/kernel/ids";

export interface PersonSpec {
  readonly roles?: readonly Role[];
  readonly username?: string;
  readonly displayName?: string;
}

export interface Person {
  readonly id: UserId;
  readonly username: string;
  readonly email: string;
}

/** Inserts accounts without a password; each test has a database of its own, so names need not be unusual. */
export async function people<Name extends string>(db: Db, specs: Readonly<Record<Name, PersonSpec>>): Promise<Record<Name, Person>> {
  return await inTx(db, async (tx) => {
    const made: Partial<Record<Name, Person>> = {};
    for (const [name, spec] of Object.entries(specs) as [Name, PersonSpec][]) {
      const username = spec.username ?? name;
      const id = newUuid(systemClock) as UserId;
      const email = `${username}@example.com`;
      await insertUser(tx, {
        id,
        username,
        email,
        displayName: spec.displayName ?? username,
        roles: spec.roles ?? ["user"],
        locale: "en",
        emailVerified: false,
      });
      made[name] = { id, username, email };
    }
    return made as Record<Name, Person>;
  });
}
