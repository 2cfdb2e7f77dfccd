/** Every read and write of `passkeys`. Ids are credential ids in base64url, as WebAuthn's JSON has them. */

import type { Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";

/** A passkey as its owner sees it. */
export interface Passkey {
  readonly id: string;
  readonly name: string;
  readonly transports: readonly string[];
  readonly backedUp: boolean;
  readonly createdAt: Date;
  readonly lastUsedAt: Date | null;
}

/** What an answer is checked with. */
export interface PasskeyKey {
  readonly id: string;
  readonly userId: string;
  /** COSE_Key. */
  readonly publicKey: Buffer;
}

/** What registering found out. */
export interface NewPasskey extends PasskeyKey {
  readonly counter: number;
  readonly transports: readonly string[];
  readonly name: string;
  /** Null where the authenticator does not say its make. */
  readonly aaguid: string | null;
  readonly backedUp: boolean;
}

/** What an answer that was checked says of its passkey from now on. */
export interface PasskeyUse {
  readonly id: string;
  readonly userId: string;
  readonly counter: number;
  readonly backedUp: boolean;
}

interface PasskeyRow {
  readonly id: Buffer;
  readonly name: string;
  readonly transports: string[];
  readonly backed_up: boolean;
  readonly created_at: Date;
  readonly last_used_at: Date | null;
}

/** The oldest first. Served by passkeys_user. */
export async function selectPasskeys(on: Db | Tx, userId: string): Promise<Passkey[]> {
  const found = await rows<PasskeyRow>(
    on,
    sql`select id, name, transports, backed_up, created_at, last_used_at from passkeys where user_id = ${userId}::uuid order by created_at, id`,
  );
  return found.map(passkeyOf);
}

/** Whosever it is. */
export async function selectPasskeyKey(on: Db | Tx, id: string): Promise<PasskeyKey | undefined> {
  const found = await row<{ user_id: string; public_key: Buffer }>(
    on,
    sql`select user_id, public_key from passkeys where id = ${bytesOf(id)}`,
  );
  return found === undefined ? undefined : { id, userId: found.user_id, publicKey: found.public_key };
}

/** False when there is one of this id, whosever it is. */
export async function insertPasskey(tx: Tx, passkey: NewPasskey): Promise<boolean> {
  const { id, userId, publicKey, counter, transports, name, aaguid, backedUp } = passkey;
  const written = await affected(
    tx,
    sql`insert into passkeys (id, user_id, public_key, counter, transports, name, aaguid, backed_up)
        values (${bytesOf(id)}, ${userId}::uuid, ${publicKey}, ${counter}, ${transports}::text[], ${name}, ${aaguid}::uuid, ${backedUp})
        on conflict (id) do nothing`,
  );
  return written === 1;
}

/**
 * Notes a use whose counter goes on from the last one, or stays at 0 where the authenticator does not count. False where it does
 * neither, and where the passkey is gone.
 */
export async function writeUse(tx: Tx, { id, userId, counter, backedUp }: PasskeyUse): Promise<boolean> {
  const written = await affected(
    tx,
    sql`update passkeys set counter = ${counter}::bigint, backed_up = ${backedUp}, last_used_at = now()
        where id = ${bytesOf(id)} and user_id = ${userId}::uuid
          and (counter < ${counter}::bigint or (counter = 0 and ${counter}::bigint = 0))`,
  );
  return written === 1;
}

/** What its owner calls it; undefined when it is gone. */
export async function selectPasskeyName(on: Db | Tx, { id, userId }: Pick<PasskeyUse, "id" | "userId">): Promise<string | undefined> {
  const found = await row<{ name: string }>(on, sql`select name from passkeys where id = ${bytesOf(id)} and user_id = ${userId}::uuid`);
  return found?.name;
}

/** Undefined where the account has no such passkey. */
export async function writePasskeyName(
  tx: Tx,
  { id, userId, name }: { readonly id: string; readonly userId: string; readonly name: string },
): Promise<Passkey | undefined> {
  const found = await row<PasskeyRow>(
    tx,
    sql`update passkeys set name = ${name} where id = ${bytesOf(id)} and user_id = ${userId}::uuid
        returning id, name, transports, backed_up, created_at, last_used_at`,
  );
  return found === undefined ? undefined : passkeyOf(found);
}

export async function deletePasskey(tx: Tx, { id, userId }: { readonly id: string; readonly userId: string }): Promise<boolean> {
  return (await affected(tx, sql`delete from passkeys where id = ${bytesOf(id)} and user_id = ${userId}::uuid`)) === 1;
}

/** All of an account's. */
export async function deletePasskeys(tx: Tx, userId: string): Promise<boolean> {
  return (await affected(tx, sql`delete from passkeys where user_id = ${userId}::uuid`)) > 0;
}

function bytesOf(id: string): Buffer {
  return Buffer.from(id, "base64url");
}

function passkeyOf({ id, name, transports, backed_up: backedUp, created_at: createdAt, last_used_at: lastUsedAt }: PasskeyRow): Passkey {
  return { id: id.toString("base64url"), name, transports, backedUp, createdAt, lastUsedAt };
}
