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

/** The row as a CloudEvent; the same at every try. */
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

const envelope = z.object({
  specversion: z.literal("1.0"),
  id: attribute,
  source: attribute,
  type: attribute,
  subject: attribute,
  time: z.iso.datetime({ offset: true }),
  userversion: z.int().min(1),
  data: z.unknown(),
});

/** A received envelope. Attributes we do not know are ignored. */
export type Envelope = z.infer<typeof envelope>;

/** Reads a received envelope, or says by which id to remember that it is none, and why. */
export function readEnvelope(
  received: unknown,
): { readonly ok: true; readonly envelope: Envelope } | { readonly ok: false; readonly id: string; readonly reason: string } {
  const parsed = envelope.safeParse(received);
  if (parsed.success) return { ok: true, envelope: parsed.data };
  const id = `sha256:${createHash("sha256")
    .update(JSON.stringify(received) ?? "")
    .digest("hex")}`;
  return { ok: false, id, reason: `no CloudEvent of ours: ${problemsOf(parsed.error)}` };
}

/** Paths and rules that were broken, never the values, which may be personal. */
export function problemsOf(error: z.ZodError): string {
  return error.issues
    .map((issue) => `${issue.path.join(".") || "(whole)"} ${issue.code}`)
    .join(", ")
    .slice(0, 500);
}
