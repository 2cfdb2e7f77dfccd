/** Every write of `users`. */

import { raw } from "objection";
import { isUniqueViolation } from "#src/db/errors";
import type { Db } from "#src/db/pool";
import { row, rows, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import { Problem } from "#src/kernel/problem";
import type { Role } from "#src/kernel/actor";
import { asLocale, type Locale } from "#src/kernel/locale";
import type { Details } from "./details.ts";
import { emailTaken, usernameTaken } from "./accounts.errors.ts";
import { UserRow, type Status } from "./accounts.rows.ts";
import type { AccountColumns } from "./accounts.views.ts";

/** What a new account begins with. */
export interface NewAccount {
  readonly id: string;
  readonly username: string;
  readonly email: string;
  readonly displayName: string;
  readonly roles: readonly Role[];
  readonly locale: Locale;
  /** Whether its owner has proved to read that address. */
  readonly emailVerified: boolean;
}

/** @throws Problem `username.taken`, `email.taken` */
export async function insertUser(tx: Tx, account: NewAccount): Promise<UserRow> {
  try {
    return await UserRow.query(tx)
      .insert({
        id: account.id,
        username: account.username,
        email: account.email,
        display_name: account.displayName,
        roles: [...account.roles],
        locale: account.locale,
        ...(account.emailVerified && { email_verified_at: raw("now()") }),
      })
      .returning("*");
  } catch (error) {
    if (isUniqueViolation(nativeError(error), "users_username_key")) throw new Problem(usernameTaken);
    if (isUniqueViolation(nativeError(error), "users_email_key")) throw new Problem(emailTaken);
    throw error;
  }
}

/** Objection wraps what pg threw. */
function nativeError(error: unknown): unknown {
  return error instanceof Error && "nativeError" in error ? error.nativeError : error;
}

/** The standing of an account at this moment. */
export interface Standing {
  readonly status: Status;
  readonly limited: readonly string[];
  /** The next moment at which this may change by itself. */
  readonly validUntil: Date | null;
}

/**
 * Recomputes the standing from the restrictions and writes it; the only writer of `status` and its companions.
 * Line 3 of the lock order.
 */
export async function writeStanding(tx: Tx, userId: string): Promise<Standing> {
  const written = await row<{ status: Status; limited: string[]; status_valid_until: Date | null }>(
    tx,
    sql`update users u set
          status = s.status, limited = s.limited, status_valid_until = s.valid_until,
          sessions_valid_from = greatest(u.sessions_valid_from, s.sessions_valid_from), updated_at = now()
        from user_standing(${userId}::uuid) s
        where u.id = ${userId}::uuid
        returning u.status, u.limited, u.status_valid_until`,
  );
  if (written === undefined) throw new Error("the account to restrict is not there");
  return { status: written.status, limited: written.limited, validUntil: written.status_valid_until };
}

/** What other features must know of accounts before they act on them. */
export interface UserFacts {
  readonly id: string;
  readonly username: string;
  readonly email: string;
  readonly displayName: string;
  readonly roles: readonly Role[];
  readonly status: Status;
}

/** Whether nobody can sign in to it any more, whatever restrictions say. */
export function hasEnded({ status }: { readonly status: Status }): boolean {
  return status === "deactivated" || status === "erased";
}

/** Facts of many accounts in one statement, with the standing of this moment; absent ids are left out. */
export async function selectFacts(on: Db | Tx, ids: readonly string[]): Promise<UserFacts[]> {
  const found = await rows<{ id: string; username: string; email: string; display_name: string; roles: Role[]; status: Status }>(
    on,
    sql`select u.id, u.username, u.email, u.display_name, u.roles, s.status
        from users u join user_standings s on s.user_id = u.id
        where u.id = any (${ids}::uuid[])`,
  );
  return found.map((user) => ({
    id: user.id,
    username: user.username,
    email: user.email,
    displayName: user.display_name,
    roles: user.roles,
    status: user.status,
  }));
}

/** The same for one account, its row locked (`FOR NO KEY UPDATE`, line 3 of the lock order) until the transaction ends. */
export async function lockFacts(tx: Tx, userId: string): Promise<UserFacts | undefined> {
  // Sent together, run one after the other: the facts are those after the lock.
  const locked = row(tx, sql`select id from users where id = ${userId}::uuid for no key update`);
  const [, facts] = await Promise.all([locked, selectFacts(tx, [userId])]);
  return facts[0];
}

/** One of an account's names. `emailHash`: the SHA-256 of the address in lower case, 64 hex digits. */
export type AccountName = { readonly username: string } | { readonly emailHash: string };

/** Whose name this is; a name that somebody left lately is still theirs. Served by users_username_key, former_usernames_name or users_address_hash. */
export async function selectIdByName(on: Db | Tx, name: AccountName): Promise<string | undefined> {
  const found = await row<{ id: string | null }>(
    on,
    "username" in name
      ? sql`select coalesce(
              (select id from users where lower(username) collate "C" = lower(${name.username}) collate "C"),
              (select user_id from former_usernames
                where lower(username) collate "C" = lower(${name.username}) collate "C" and kept_until > now() limit 1)
            ) as id`
      : sql`select id from users where address_hash(email) = decode(${name.emailHash}, 'hex')`,
  );
  return found?.id ?? undefined;
}

/** Whether anybody is an admin yet. Served by users_admins. */
export async function adminExists(on: Db | Tx): Promise<boolean> {
  return (await row(on, sql`select id from users where 'admin' = any (roles) limit 1`)) !== undefined;
}

/**
 * An account that is about to get a session, its row locked (`FOR NO KEY UPDATE`, line 3 of the lock order): a restriction waits
 * for the session or is seen by it, and so does another session of the account.
 */
export async function lockAccount(tx: Tx, userId: string): Promise<{ readonly user: AccountColumns; readonly status: Status } | undefined> {
  const locked = await row(tx, sql`select id from users where id = ${userId}::uuid for no key update`);
  if (locked === undefined) return undefined;
  const found = await row<AccountColumns & { current_status: Status }>(
    tx,
    sql`select u.id, u.username, u.email, u.display_name, u.avatar_url, u.bio, u.roles, u.email_verified_at, u.created_at, u.updated_at, s.status as current_status
        from users u join user_standings s on s.user_id = u.id
        where u.id = ${userId}::uuid`,
  );
  return found === undefined ? undefined : { user: found, status: found.current_status };
}

/** The public part of a profile. */
export interface ProfilePart {
  readonly displayName: string;
  readonly avatarUrl: string | null;
  readonly bio: string;
  readonly details: Details;
}

/** Writes the public part whole; the profile's version grows by one. Line 3 of the lock order. */
export async function writeProfile(tx: Tx, userId: string, part: ProfilePart): Promise<void> {
  await row(
    tx,
    sql`update users set
          display_name = ${part.displayName}, avatar_url = ${part.avatarUrl}, bio = ${part.bio},
          details = ${JSON.stringify(part.details)}::jsonb,
          version = version + 1, updated_at = now()
        where id = ${userId}::uuid`,
  );
}

/** Somebody to write to. */
export interface Addressee {
  readonly userId: string;
  readonly username: string;
  readonly displayName: string;
  readonly email: string;
  readonly emailVerified: boolean;
  readonly locale: Locale;
  readonly status: Status;
}

interface AddresseeRow {
  readonly id: string;
  readonly username: string;
  readonly display_name: string;
  readonly email: string;
  readonly is_verified: boolean;
  readonly locale: string;
  readonly status: Status;
}

/** Whose address this is. Served by users_email_key. */
export async function selectAddressee(on: Db | Tx, email: string): Promise<Addressee | undefined> {
  const found = await row<AddresseeRow>(
    on,
    sql`select u.id, u.username, u.display_name, u.email, u.email_verified_at is not null as is_verified, u.locale, s.status
        from users u join user_standings s on s.user_id = u.id
        where lower(u.email) collate "C" = lower(${email}) collate "C"`,
  );
  return found === undefined ? undefined : addresseeOf(found);
}

/** The same by id. */
export async function selectAddresseeById(on: Db | Tx, userId: string): Promise<Addressee | undefined> {
  const found = await row<AddresseeRow>(
    on,
    sql`select u.id, u.username, u.display_name, u.email, u.email_verified_at is not null as is_verified, u.locale, s.status
        from users u join user_standings s on s.user_id = u.id
        where u.id = ${userId}::uuid`,
  );
  return found === undefined ? undefined : addresseeOf(found);
}

function addresseeOf({
  id,
  username,
  display_name: displayName,
  email,
  is_verified: emailVerified,
  locale,
  status,
}: AddresseeRow): Addressee {
  return { userId: id, username, displayName, email, emailVerified, locale: asLocale(locale), status };
}

/** Notes that the address was proved to be its owner's. The first time stays. Line 3 of the lock order. */
export async function writeVerified(tx: Tx, userId: string): Promise<void> {
  await row(
    tx,
    sql`update users set email_verified_at = now(), updated_at = now() where id = ${userId}::uuid and email_verified_at is null`,
  );
}

/** Writes a proved address. Line 3 of the lock order. @throws Problem `email.taken` */
export async function writeEmail(tx: Tx, userId: string, email: string): Promise<void> {
  try {
    await row(tx, sql`update users set email = ${email}, email_verified_at = now(), updated_at = now() where id = ${userId}::uuid`);
  } catch (error) {
    if (isUniqueViolation(error, "users_email_key")) throw new Problem(emailTaken);
    throw error;
  }
}

/** Writes an account's roles. Line 3 of the lock order. */
export async function writeRoles(tx: Tx, userId: string, roles: readonly Role[]): Promise<void> {
  await row(tx, sql`update users set roles = ${roles}::text[], updated_at = now() where id = ${userId}::uuid`);
}

/** The language somebody is written to in; undefined where there is no such account. */
export async function selectLocale(on: Db | Tx, userId: string): Promise<Locale | undefined> {
  const found = await row<{ locale: string }>(on, sql`select locale from users where id = ${userId}::uuid`);
  return found === undefined ? undefined : asLocale(found.locale);
}

/** Writes it where one is given, locks the row either way, and tells which holds. Line 3 of the lock order. */
export async function writeLocale(tx: Tx, userId: string, locale: Locale | undefined): Promise<Locale | undefined> {
  const written = await row<{ locale: string }>(
    tx,
    sql`update users set locale = coalesce(${locale ?? null}::text, locale) where id = ${userId}::uuid returning locale`,
  );
  return written === undefined ? undefined : asLocale(written.locale);
}
