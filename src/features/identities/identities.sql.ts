/** Every read and write of `identities`. */

import type { Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import type { ProvedIdentity } from "./claims.ts";

/** One as its owner sees it. */
export interface Identity {
  readonly id: string;
  readonly provider: string;
  readonly email: string | null;
  readonly linkedAt: Date;
  readonly lastUsedAt: Date | null;
}

type Key = Pick<ProvedIdentity, "provider" | "issuer" | "subject">;

interface IdentityRow {
  readonly id: string;
  readonly provider: string;
  readonly email: string | null;
  readonly linked_at: Date;
  readonly last_used_at: Date | null;
}

/** Whose it is. Served by identities_subject. */
export async function findIdentity(on: Db | Tx, { provider, issuer, subject }: Key): Promise<string | undefined> {
  const found = await row<{ user_id: string }>(
    on,
    sql`select user_id from identities where provider = ${provider} and subject = ${subject} and issuer = ${issuer}`,
  );
  return found?.user_id;
}

/** Notes a sign-in; false when it is that account's no more. Line 4 of the lock order. */
export async function useIdentity(tx: Tx, { provider, issuer, subject, userId }: Key & { readonly userId: string }): Promise<boolean> {
  const used = await affected(
    tx,
    sql`update identities set last_used_at = now()
        where provider = ${provider} and subject = ${subject} and issuer = ${issuer} and user_id = ${userId}::uuid`,
  );
  return used === 1;
}

/** False when it is an account's already. Line 4 of the lock order. */
export async function insertIdentity(
  tx: Tx,
  identity: Key & { readonly id: string; readonly userId: string; readonly email: string | undefined; readonly isUsed: boolean },
): Promise<boolean> {
  const { id, userId, provider, issuer, subject, email = null, isUsed } = identity;
  const written = await affected(
    tx,
    sql`insert into identities (id, user_id, provider, issuer, subject, email, last_used_at)
        values (${id}::uuid, ${userId}::uuid, ${provider}, ${issuer}, ${subject}, ${email}, case when ${isUsed} then now() end)
        on conflict do nothing`,
  );
  return written === 1;
}

/** The oldest first. Served by identities_user. */
export async function selectIdentities(on: Db | Tx, userId: string): Promise<Identity[]> {
  const found = await rows<IdentityRow>(
    on,
    sql`select id, provider, email, linked_at, last_used_at from identities where user_id = ${userId}::uuid order by linked_at, id`,
  );
  return found.map(({ id, provider, email, linked_at: linkedAt, last_used_at: lastUsedAt }) => ({
    id,
    provider,
    email,
    linkedAt,
    lastUsedAt,
  }));
}

/** Gives the provider of the one that was deleted. */
export async function deleteIdentity(
  tx: Tx,
  { id, userId }: { readonly id: string; readonly userId: string },
): Promise<string | undefined> {
  const found = await row<{ provider: string }>(
    tx,
    sql`delete from identities where id = ${id}::uuid and user_id = ${userId}::uuid returning provider`,
  );
  return found?.provider;
}

/** Takes all of an account, and gives their providers. Line 4 of the lock order. */
export async function dropIdentities(tx: Tx, userId: string): Promise<string[]> {
  const found = await rows<{ provider: string }>(tx, sql`delete from identities where user_id = ${userId}::uuid returning provider`);
  return found.map(({ provider }) => provider);
}

/**
 * Takes those of an account whose address nobody has proved yet: who proves it now need not be who linked them, and would have
 * somebody in the account unseen. Ask before the address counts as proved. Line 4 of the lock order.
 */
export async function dropUnprovedIdentities(tx: Tx, userId: string): Promise<void> {
  await affected(
    tx,
    sql`delete from identities i using users u
        where i.user_id = ${userId}::uuid and u.id = i.user_id and u.email_verified_at is null`,
  );
}
