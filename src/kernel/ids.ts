/** Branded identifiers and UUID v7 (RFC 9562, section 5.7). */

import type { Clock } from "./clock.ts";
import { randomBytes } from "./random.ts";

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type UserId = Branded<"UserId">;
export type SessionId = Branded<"SessionId">;

/** Of the ms before, and how many came in it: where the next one of the same ms goes on. */
const last = { ms: Number.NaN, count: 0 };
/** Where a ms begins to count: anywhere in the lower half, so that 2,048 more have room. */
const FIRST_COUNTS = 0x7ff;

/**
 * A new UUID v7 in its 36-character form: 48 bits of Unix time in ms, a count of 12 bits, 62 random ones. Those of one process sort in
 * the order in which they were made, up to 2,048 of one ms (RFC 9562, section 6.2, method 1): records of one decision are read in order of ids.
 */
export function newUuid(clock: Clock): string {
  const bytes = randomBytes(16);
  const ms = clock.now().getTime();
  last.count = ms === last.ms ? last.count + 1 : bytes.readUInt16BE(6) & FIRST_COUNTS;
  last.ms = ms;
  bytes.writeUIntBE(ms, 0, 6);
  bytes.writeUInt16BE(0x7000 | (last.count & 0x0fff), 6);
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
