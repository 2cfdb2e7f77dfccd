/** Branded identifiers and UUID v7 (RFC 9562, section 5.7). */

import type { Clock } from "./clock.ts";
import { randomBytes } from "./random.ts";

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type UserId = Branded<"UserId">;
export type SessionId = Branded<"SessionId">;

let lastMs = -1;
let counter = 0;

/**
 * A new UUID v7 in its 36-character form: 48 bits of Unix time in ms, a counter of 12 bits that begins at random in each ms (section
 * 6.2, method 1), then 62 random bits. Ids of one process sort as they were made, those of several by time.
 */
export function newUuid(clock: Clock): string {
  const bytes = randomBytes(16);
  const nowMs = clock.now().getTime();
  // Half of its range is left to count in; whoever makes more than 2,048 in one ms has them out of order.
  counter = nowMs === lastMs ? (counter + 1) & 0xfff : bytes.readUInt16BE(6) & 0x7ff;
  lastMs = nowMs;
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes.writeUInt16BE(0x7000 | counter, 6);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Whether the text has the form of a UUID of any version. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** The lowest UUID v7 of a moment: ids made before it sort below. For walking a primary key in order of time. */
export function uuidFloor(moment: Date): string {
  const hex = moment.getTime().toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}
