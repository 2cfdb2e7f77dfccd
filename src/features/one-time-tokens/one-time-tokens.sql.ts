/** Every read and write of `one_time_tokens`. */

import type { Db } from "#src/db/pool";
import { affected, row, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import type { Purpose } from "./purposes.ts";

/** A token as it is stored. */
export interface OneTimeToken {
  readonly id: string;
  readonly purpose: Purpose;
  /** Null while there is no account yet, or where none was found. */
  readonly userId: string | null;
  readonly email: string;
  readonly data: unknown;
}

interface TokenRow {
  readonly id: string;
  readonly purpose: Purpose;
  readonly user_id: string | null;
  readonly email: string;
  readonly data: unknown;
}

/** What a new one is made of. */
export interface NewToken extends Omit<OneTimeToken, "data"> {
  readonly data: Readonly<Record<string, unknown>>;
  readonly lifetimeSeconds: number;
}

export async function insertToken(tx: Tx, token: NewToken): Promise<void> {
  await affected(
    tx,
    sql`insert into one_time_tokens (id, purpose, user_id, email, data, expires_at)
        values (${token.id}::uuid, ${token.purpose}, ${token.userId}::uuid, ${token.email}, ${JSON.stringify(token.data)}::jsonb,
          now() + make_interval(secs => ${token.lifetimeSeconds}))`,
  );
}

/** One that can still be used, without using it. */
export async function findUsable(on: Db | Tx, id: string): Promise<OneTimeToken | undefined> {
  const found = await row<TokenRow>(
    on,
    sql`select id, purpose, user_id, email, data from one_time_tokens where id = ${id}::uuid and used_at is null and expires_at > now()`,
  );
  return found === undefined ? undefined : tokenOf(found);
}

/** Says whose it is, once that is known. False when it cannot be used any more. */
export async function assignToken(tx: Tx, id: string, userId: string): Promise<boolean> {
  return (
    (await affected(
      tx,
      sql`update one_time_tokens set user_id = ${userId}::uuid where id = ${id}::uuid and used_at is null and expires_at > now()`,
    )) === 1
  );
}

/** Uses it up: of several at once, one gets it. */
export async function markUsed(tx: Tx, id: string, purposes: readonly Purpose[]): Promise<OneTimeToken | undefined> {
  const found = await row<TokenRow>(
    tx,
    sql`update one_time_tokens set used_at = now()
        where id = ${id}::uuid and purpose = any (${purposes}::text[]) and used_at is null and expires_at > now()
        returning id, purpose, user_id, email, data`,
  );
  return found === undefined ? undefined : tokenOf(found);
}

/** Takes it away whole, if `data` holds all of `bound`: of several at once, one gets it; who has not what it is bound to leaves it. */
export async function takeBound(
  tx: Tx,
  { id, purpose, bound }: { readonly id: string; readonly purpose: Purpose; readonly bound: Readonly<Record<string, string>> },
): Promise<OneTimeToken | undefined> {
  const found = await row<TokenRow>(
    tx,
    sql`delete from one_time_tokens
        where id = ${id}::uuid and purpose = ${purpose} and data @> ${JSON.stringify(bound)}::jsonb and used_at is null and expires_at > now()
        returning id, purpose, user_id, email, data`,
  );
  return found === undefined ? undefined : tokenOf(found);
}

/** Nothing that was mailed for these purposes opens anything any more. */
export async function voidTokens(tx: Tx, userId: string, purposes: readonly Purpose[]): Promise<void> {
  await affected(
    tx,
    sql`update one_time_tokens set used_at = now()
        where user_id = ${userId}::uuid and purpose = any (${purposes}::text[]) and used_at is null`,
  );
}

/** The same for those of the token's purpose that were made with it or after it. */
export async function voidLaterTokens(tx: Tx, { id, purpose }: Pick<OneTimeToken, "id" | "purpose">, userId: string): Promise<void> {
  await affected(
    tx,
    sql`update one_time_tokens set used_at = now()
        where user_id = ${userId}::uuid and purpose = ${purpose} and used_at is null
          and created_at >= (select created_at from one_time_tokens where id = ${id}::uuid)`,
  );
}

/** Tries at one code. */
export const CODE_TRIES = 5;

/**
 * Counts a try at the newest code that this address got, and gives its id; undefined when there is none or it has had its tries.
 * Served by one_time_tokens_address.
 */
export async function takeTry(db: Db, email: string, purposes: readonly Purpose[]): Promise<string | undefined> {
  const found = await row<{ id: string }>(
    db,
    sql`update one_time_tokens set tries = tries + 1
        where id = (
          select id from one_time_tokens
          where lower(email) collate "C" = lower(${email}) collate "C" and purpose = any (${purposes}::text[])
            and used_at is null and expires_at > now()
          order by created_at desc limit 1
        ) and tries < ${CODE_TRIES} and used_at is null
        returning id`,
  );
  return found?.id;
}

/** Counts a try at this one; false when it has had its tries or is over. */
export async function takeTryOf(db: Db, id: string): Promise<boolean> {
  const counted = await affected(
    db,
    sql`update one_time_tokens set tries = tries + 1
        where id = ${id}::uuid and tries < ${CODE_TRIES} and used_at is null and expires_at > now()`,
  );
  return counted === 1;
}

/** The newest of a purpose that this address got and that can still be used. Served by one_time_tokens_address. */
export async function newestUsable(on: Db | Tx, email: string, purpose: Purpose): Promise<OneTimeToken | undefined> {
  const found = await row<TokenRow>(
    on,
    sql`select id, purpose, user_id, email, data from one_time_tokens
        where lower(email) collate "C" = lower(${email}) collate "C" and purpose = ${purpose} and used_at is null and expires_at > now()
        order by created_at desc limit 1`,
  );
  return found === undefined ? undefined : tokenOf(found);
}

/** Sweeps away up to 1,000 that ended a day ago. Served by one_time_tokens_expires. */
export async function deleteOldTokens(db: Db): Promise<number> {
  return await affected(
    db,
    sql`delete from one_time_tokens where id in (
          select id from one_time_tokens where expires_at < now() - interval '1 day' order by expires_at limit 1000
        )`,
  );
}

function tokenOf({ user_id: userId, ...rest }: TokenRow): OneTimeToken {
  const { id, purpose, email, data } = rest;
  return { id, purpose, userId, email, data };
}
