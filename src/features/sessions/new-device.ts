/** Whether somebody signs in from a device that the account was not seen on before. */

import type { Db } from "#src/db/pool";
import type { Tx } from "#src/db/tx";
import type { Client } from "#src/kernel/actor";
import { networkOf } from "#src/kernel/address";
import { deviceOf } from "./device.ts";
import { hadNoSession, selectKnownDevices } from "./sessions.sql.ts";

/**
 * Known is a device in a network: of the account's sessions of the last 90 days one was begun by the same, as far as user agent
 * and address tell. The first session of an account is of no new device.
 */
export async function isNewDevice(on: Db | Tx, input: { readonly userId: string; readonly client: Client }): Promise<boolean> {
  const { userId, client } = input;
  const known = await selectKnownDevices(on, userId);
  const network = networkOf(client.address);
  const nearby = known.filter(({ address }) => networkOf(address) === network);
  if (nearby.some(({ userAgent }) => userAgent === client.userAgent)) return false;
  const device = deviceOf(client.userAgent);
  if (nearby.some(({ userAgent }) => deviceOf(userAgent) === device)) return false;
  return known.length > 0 || !(await hadNoSession(on, userId));
}
