/** Every read and write of `totp_factors` and `recovery_codes`. */

import type { Db } from "#src/db/pool";
import { affected, row, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import type { Sealed } from "./seals.ts";

/** What an account has. */
export interface FactorState {
  /** When the authenticator app was confirmed; null without one. */
  readonly totpConfirmedAt: Date | null;
  readonly passkeys: number;
  readonly recoveryCodesLeft: number;
}

/** One statement, by primary keys and passkeys_user. */
export async function selectFactors(on: Db | Tx, userId: string): Promise<FactorState> {
  const found = await row<{ confirmed_at: Date | null; passkeys: number; codes: number }>(
    on,
    sql`select (select confirmed_at from totp_factors where user_id = ${userId}::uuid) as confirmed_at,
          (select count(*)::int from passkeys where user_id = ${userId}::uuid) as passkeys,
          (select count(*)::int from recovery_codes where user_id = ${userId}::uuid and used_at is null) as codes`,
  );
  return { totpConfirmedAt: found?.confirmed_at ?? null, passkeys: found?.passkeys ?? 0, recoveryCodesLeft: found?.codes ?? 0 };
}

export interface TotpRow extends Sealed {
  readonly confirmedAt: Date | null;
  readonly lastStep: number;
}

/** The factor, its row locked: two codes at once come one after the other. Line 4 of the lock order. */
export async function lockTotp(tx: Tx, userId: string): Promise<TotpRow | undefined> {
  const found = await row<{ sealed: Buffer; kid: string; confirmed_at: Date | null; last_step: string }>(
    tx,
    sql`select sealed, kid, confirmed_at, last_step from totp_factors where user_id = ${userId}::uuid for update`,
  );
  if (found === undefined) return undefined;
  return { sealed: found.sealed, kid: found.kid, confirmedAt: found.confirmed_at, lastStep: Number(found.last_step) };
}

/** Keeps a secret that is yet to be confirmed, in place of an earlier one. False when a confirmed one is there. */
export async function putTotp(tx: Tx, userId: string, { sealed, kid }: Sealed): Promise<boolean> {
  const written = await affected(
    tx,
    sql`insert into totp_factors (user_id, sealed, kid) values (${userId}::uuid, ${sealed}, ${kid})
        on conflict (user_id) do update set sealed = excluded.sealed, kid = excluded.kid, created_at = now(), last_step = 0
        where totp_factors.confirmed_at is null`,
  );
  return written === 1;
}

/** Notes that a code was taken; the first one confirms the factor. */
export async function writeStep(tx: Tx, userId: string, step: number): Promise<void> {
  await affected(
    tx,
    sql`update totp_factors set last_step = ${step}, confirmed_at = coalesce(confirmed_at, now()) where user_id = ${userId}::uuid`,
  );
}

export async function deleteTotp(tx: Tx, userId: string): Promise<boolean> {
  return (await affected(tx, sql`delete from totp_factors where user_id = ${userId}::uuid and confirmed_at is not null`)) === 1;
}

/** Whether nobody has proved the account's address. */
export async function lacksProvedAddress(tx: Tx, userId: string): Promise<boolean> {
  return (await row(tx, sql`select 1 from users where id = ${userId}::uuid and email_verified_at is null`)) !== undefined;
}

/** Replaces all of an account's codes. */
export async function replaceRecoveryCodes(tx: Tx, userId: string, macs: readonly Buffer[]): Promise<void> {
  await affected(tx, sql`delete from recovery_codes where user_id = ${userId}::uuid`);
  await affected(tx, sql`insert into recovery_codes (user_id, mac) select ${userId}::uuid, unnest(${macs}::bytea[])`);
}

/** Uses one up: of several at once, one gets it. Gives how many are left. */
export async function useRecoveryCode(tx: Tx, userId: string, macs: readonly Buffer[]): Promise<number | undefined> {
  const used = await affected(
    tx,
    sql`update recovery_codes set used_at = now() where user_id = ${userId}::uuid and mac = any (${macs}::bytea[]) and used_at is null`,
  );
  return used === 0 ? undefined : (await selectFactors(tx, userId)).recoveryCodesLeft;
}
