/** Accounts by the hundred, for those who bring them along from elsewhere. */

import type { Db } from "#src/db/pool";
import { rows, sql, type Sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import type { Role } from "#src/kernel/actor";
import type { Locale } from "#src/kernel/locale";

/** One account of a batch. */
export interface BatchAccount {
  readonly id: string;
  readonly username: string;
  readonly email: string;
  readonly emailVerified: boolean;
  readonly displayName: string;
  readonly bio: string;
  readonly roles: readonly Role[];
  readonly locale: Locale;
  /** Now when left out. */
  readonly createdAt?: Date | undefined;
}

/** What is told of one that was made. */
export interface MadeAccount {
  readonly id: string;
  readonly username: string;
  readonly email: string;
  readonly createdAt: Date;
}

/** Who has the id and names that somebody asks for; each undefined where nobody has it. Ids of accounts, but the name. */
export interface Holders {
  /** The user name of the account with that id. */
  readonly usernameOfId: string | undefined;
  readonly ofUsername: string | undefined;
  readonly ofEmail: string | undefined;
}

/**
 * Inserts those whose id, name and address nobody has, in the order given, in one statement: of two that want the same name the
 * first gets it. Gives those that were made, in any order.
 */
export async function insertUsers(tx: Tx, accounts: readonly BatchAccount[]): Promise<MadeAccount[]> {
  const inserted = await rows<{ id: string; username: string; email: string; created_at: Date }>(
    tx,
    sql`insert into users (id, username, email, email_verified_at, display_name, bio, roles, locale, created_at)
        select a.id, a.username, a.email, case when a."emailVerified" then now() end, a."displayName", a.bio, a.roles, a.locale,
          coalesce(a."createdAt", now())
        from rows from (
          jsonb_to_recordset(${JSON.stringify(accounts)}::jsonb) as (id uuid, username text, email text, "emailVerified" boolean,
            "displayName" text, bio text, roles text[], locale text, "createdAt" timestamptz)
        ) with ordinality as a (id, username, email, "emailVerified", "displayName", bio, roles, locale, "createdAt", place)
        where not exists (
          select from former_usernames f
          where lower(f.username) collate "C" = lower(a.username) collate "C" and f.user_id <> a.id and f.kept_until > now()
        )
        order by a.place
        on conflict do nothing
        returning id, username, email, created_at`,
  );
  return inserted.map(({ id, username, email, created_at: createdAt }) => ({ id, username, email, createdAt }));
}

/**
 * Who holds what each of them asks for, in their order. A name that is kept for who left it is theirs. Served by users_pkey, users_username_key, former_usernames_name and users_email_key. Planned each
 * time: a plan that is kept was made while the table was small, and would read it whole for every batch of a big import.
 */
export async function selectHolders(
  on: Db | Tx,
  wanted: readonly { readonly id?: string | undefined; readonly username: string; readonly email: string }[],
): Promise<Holders[]> {
  const names = JSON.stringify(wanted.map(({ id, username, email }) => ({ id, username, email })));
  const found = await rows<{ username_of_id: string | null; of_username: string | null; of_email: string | null }>(
    on,
    plannedEachTime(sql`select i.username as username_of_id, coalesce(n.id, f.user_id) as of_username, e.id as of_email
        from rows from (jsonb_to_recordset(${names}::jsonb) as (id uuid, username text, email text))
          with ordinality as w (id, username, email, place)
        left join users i on i.id = w.id
        left join users n on lower(n.username) collate "C" = lower(w.username) collate "C"
        left join former_usernames f on lower(f.username) collate "C" = lower(w.username) collate "C" and f.kept_until > now()
        left join users e on lower(e.email) collate "C" = lower(w.email) collate "C"
        order by w.place`),
  );
  return found.map((one) => ({
    usernameOfId: one.username_of_id ?? undefined,
    ofUsername: one.of_username ?? undefined,
    ofEmail: one.of_email ?? undefined,
  }));
}

function plannedEachTime(statement: Sql): Sql {
  return { ...statement, name: "" };
}
