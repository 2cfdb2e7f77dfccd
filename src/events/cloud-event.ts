/** The envelope: how a row of the outbox looks on the wire, and what of a received one is believed. */

import { createHash } from "node:crypto";
import { z } from "zod";
import type { CloudEvent } from "#src/sidecar/port";

/** CloudEvents `source` of everything this service says. */
export const EVENT_SOURCE = "urn:videamozi:user-service";

/** What the relay needs of a row. */
export interface OutgoingEvent {
  readonly id: string;
  readonly topic: string;
  readonly type: string;
  readonly subject: string;
  readonly user_version: number;
  readonly data: unknown;
  readonly traceparent: string | null;
  readonly occurred_at: Date;
}

/** The row as a CloudEvent; the same at every try, but for its trace. */
export function toCloudEvent(event: OutgoingEvent): CloudEvent {
  return {
    specversion: "1.0",
    id: event.id,
    source: EVENT_SOURCE,
    type: event.type,
    subject: event.subject,
    time: event.occurred_at.toISOString(),
    datacontenttype: "application/json",
    userversion: event.user_version,
    ...(event.traceparent === null ? {} : { traceparent: event.traceparent }),
    data: event.data,
  };
}

// No control characters: attributes become columns of the inbox, and NUL cannot.
const attribute = z.string().regex(/^[^\p{Cc}\p{Cs}]{1,256}$/u);

// What CloudEvents requires; the rest it leaves open, and neighbours may too.
const envelope = z.object({
  specversion: z.literal("1.0"),
  id: attribute,
  source: attribute,
  type: attribute,
  subject: attribute.optional(),
  time: z.iso.datetime({ offset: true }).optional(),
  userversion: z.int().min(1).optional(),
  data: z.unknown(),
});
const ourEnvelope = envelope.required({ subject: true, time: true, userversion: true });

/** A received envelope. Attributes we do not know are ignored. */
export type Envelope = z.infer<typeof envelope>;

/** What was received, read or not; `received` is safe to store. */
export type Reading =
  | { readonly ok: true; readonly envelope: Envelope; readonly digest: Buffer; readonly received: unknown }
  | { readonly ok: false; readonly id: string; readonly reason: string; readonly received: unknown };

/**
 * Reads a received envelope, or says by which id to remember that it is none, and why.
 * @param isOurs ours have subject, time and userversion; others may leave them out
 */
export function readEnvelope(wire: unknown, isOurs: boolean): Reading {
  const received = cutDeep(wire, DEEPEST);
  const parsed = (isOurs ? ourEnvelope : envelope).safeParse(received.value);
  if (parsed.success && !received.wasCut) {
    return { ok: true, envelope: parsed.data, digest: digestOf(parsed.data), received: received.value };
  }
  const why = parsed.success ? `nested deeper than ${DEEPEST}` : problemsOf(parsed.error);
  const id = `sha256:${sha256(JSON.stringify(received.value) ?? "").toString("hex")}`;
  return { ok: false, id, reason: `no CloudEvent: ${why}`, received: received.value };
}

/** Paths and rules that were broken, never the values, which may be personal. */
export function problemsOf(error: z.ZodError): string {
  return error.issues
    .map((issue) => `${issue.path.join(".") || "(whole)"} ${issue.code}`)
    .join(", ")
    .slice(0, 500);
}

/** What the event says, as 32 bytes: repeats of it have the same, whatever order their fields came in and whatever a sidecar added. */
function digestOf({ type, subject, userversion, data }: Envelope): Buffer {
  return sha256(JSON.stringify([type, subject, userversion, sorted(data)]));
}

function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** No event needs more; JSON.parse takes a million levels, and whatever walks them afterwards runs out of stack. */
const DEEPEST = 32;

/** The value without what lies deeper than `levels`. */
function cutDeep(value: unknown, levels: number): { readonly value: unknown; readonly wasCut: boolean } {
  if (typeof value !== "object" || value === null) return { value, wasCut: false };
  if (levels === 0) return { value: "(cut)", wasCut: true };
  let wasCut = false;
  const inner = (one: unknown): unknown => {
    const cut = cutDeep(one, levels - 1);
    wasCut ||= cut.wasCut;
    return cut.value;
  };
  const copy = Array.isArray(value) ? value.map(inner) : Object.fromEntries(Object.entries(value).map(([key, one]) => [key, inner(one)]));
  return { value: copy, wasCut };
}
