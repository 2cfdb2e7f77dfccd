/**
 * Trusted devices: where a second factor was proved and its owner said so, the password alone signs in for some days. Trust is a row,
 * so that it can be taken back; the device's token names it and is stored nowhere.
 */

import { hash } from "node:crypto";
import type { Db } from "#src/db/pool";
import { inTx, type Tx } from "#src/db/tx";
import type { Actor } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { deviceOf } from "./device.ts";
import { trustedDeviceNotFound } from "./sessions.errors.ts";
import { trustedDeviceView, type TrustedDeviceView } from "./sessions.views.ts";
import {
  deleteTrustedDevice,
  deleteTrustedDevices,
  insertTrustedDevice,
  selectTrustedDevices,
  useTrustedDevice,
} from "./trusted-devices.sql.ts";

interface Needs {
  readonly db: Db;
  readonly log: Log;
}

/** One more makes the oldest a stranger: nobody has so many, and a list must stay short. */
const MOST_TRUSTED = 20;

/**
 * Trusts a device whose token was made for this very sign-in, so that no copy of an older one is trusted along with it. The caller
 * holds the `users` row and has seen the factor proved.
 * @param device.deviceId the random part of its token
 * @returns until when
 */
export async function trustDevice(
  deps: { readonly clock: Clock },
  tx: Tx,
  device: { readonly userId: string; readonly deviceId: string; readonly userAgent: string; readonly days: number },
): Promise<Date> {
  const { userId, deviceId, userAgent, days } = device;
  await deleteTrustedDevices(tx, userId, MOST_TRUSTED - 1);
  return await insertTrustedDevice(tx, { id: newUuid(deps.clock), userId, hash: hashOf(deviceId), label: deviceOf(userAgent), days });
}

/** Until when the device is trusted by this account; undefined when it is not. Ask it with the `users` row locked. */
export async function trustedUntil(tx: Tx, device: { readonly userId: string; readonly deviceId: string }): Promise<Date | undefined> {
  return await useTrustedDevice(tx, { userId: device.userId, hash: hashOf(device.deviceId) });
}

/** No device of the account is trusted any more: what its trust stood for has changed. */
export async function distrustDevices(tx: Tx, userId: string): Promise<void> {
  await deleteTrustedDevices(tx, userId);
}

/** The newest first. */
export async function listTrustedDevices(deps: Pick<Needs, "db">, { userId }: Pick<Actor, "userId">): Promise<TrustedDeviceView[]> {
  return (await selectTrustedDevices(deps.db, userId)).map(trustedDeviceView);
}

/** @throws Problem `trusted_device.not_found` also for those of others */
export async function forgetTrustedDevice(deps: Needs, input: { readonly actor: Actor; readonly id: string }): Promise<void> {
  const { userId, sessionId } = input.actor;
  const found = await inTx(deps.db, (tx) => deleteTrustedDevice(tx, { id: input.id, userId }));
  if (!found) throw new Problem(trustedDeviceNotFound);
  securityEvent(deps.log, { kind: "device.forgotten", userId, sessionId, reason: "one" });
}

export async function forgetTrustedDevices(
  deps: Needs,
  { userId, sessionId }: Pick<Actor, "userId" | "sessionId">,
): Promise<{ readonly devicesForgotten: number }> {
  const devicesForgotten = await inTx(deps.db, (tx) => deleteTrustedDevices(tx, userId));
  securityEvent(deps.log, { kind: "device.forgotten", userId, sessionId, reason: "all" });
  return { devicesForgotten };
}

function hashOf(deviceId: string): Buffer {
  return hash("sha256", `trusted device:${deviceId}`, "buffer");
}
