/** Every read and write of `trusted_devices`. */

import type { Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";

/** A device as its owner sees it. */
export interface TrustedDeviceRow {
  readonly id: string;
  readonly label: string | null;
  readonly created_at: Date;
  readonly expires_at: Date;
  readonly last_used_at: Date | null;
}

export interface NewTrustedDevice {
  readonly id: string;
  readonly userId: string;
  readonly hash: Buffer;
  readonly label: string | null;
  readonly days: number;
}

/** Line 4 of the lock order; the caller holds the `users` row. Gives until when. */
export async function insertTrustedDevice(tx: Tx, device: NewTrustedDevice): Promise<Date> {
  const made = await row<{ expires_at: Date }>(
    tx,
    sql`insert into trusted_devices (id, user_id, device_hash, label, expires_at)
        values (${device.id}::uuid, ${device.userId}::uuid, ${device.hash}, ${device.label}, now() + make_interval(days => ${device.days}))
        returning expires_at`,
  );
  if (made === undefined) throw new Error("the device was not inserted");
  return made.expires_at;
}

/** Notes a use of the device, and gives until when it is trusted; undefined for one that is not. Served by trusted_devices_device. */
export async function useTrustedDevice(tx: Tx, device: { readonly userId: string; readonly hash: Buffer }): Promise<Date | undefined> {
  const found = await row<{ expires_at: Date }>(
    tx,
    sql`update trusted_devices set last_used_at = now()
        where user_id = ${device.userId}::uuid and device_hash = ${device.hash} and expires_at > now()
        returning expires_at`,
  );
  return found?.expires_at;
}

/** The newest first. Served by trusted_devices_device. */
export async function selectTrustedDevices(db: Db, userId: string): Promise<TrustedDeviceRow[]> {
  return await rows<TrustedDeviceRow>(
    db,
    sql`select id, label, created_at, expires_at, last_used_at from trusted_devices
        where user_id = ${userId}::uuid and expires_at > now() order by created_at desc, id desc`,
  );
}

export async function deleteTrustedDevice(tx: Tx, device: { readonly id: string; readonly userId: string }): Promise<boolean> {
  return (await affected(tx, sql`delete from trusted_devices where id = ${device.id}::uuid and user_id = ${device.userId}::uuid`)) === 1;
}

/** Leaves the newest `keep` of an account, and says how many went. */
export async function deleteTrustedDevices(tx: Tx, userId: string, keep = 0): Promise<number> {
  return await affected(
    tx,
    sql`delete from trusted_devices where id in (
          select id from trusted_devices where user_id = ${userId}::uuid order by created_at desc, id desc offset ${keep}
        )`,
  );
}

/** Sweeps away up to 1,000 that are over. Served by trusted_devices_expires. */
export async function deleteExpiredDevices(db: Db): Promise<number> {
  return await affected(
    db,
    sql`delete from trusted_devices where id in (select id from trusted_devices where expires_at < now() order by expires_at limit 1000)`,
  );
}
