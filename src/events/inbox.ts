/** Events inwards: the subscription table, and the way from a delivery to consumers, a verdict and a receipt. */

import { eventTypes } from "#src/contract/event-types";
import type { Db } from "#src/db/pool";
import { securityEvent, type Log } from "#src/kernel/log";
import type { DeliveryOutcome, Subscription } from "#src/sidecar/port";
import { EVENT_SOURCE, problemsOf, readEnvelope, type Envelope, type Reading } from "./cloud-event.ts";
import type { Consumer, NeighbourEvent } from "./consumer.ts";
import { inDeliveryTrace } from "./delivery-span.ts";
import { handleOnce } from "./handle-once.ts";
import { noteDead, noteTrouble, type InboxEvent } from "./inbox.sql.ts";
import { originOf } from "./origin.ts";
import { createPushing, type Pushing } from "./push.ts";
import type { Marks } from "./marks.ts";

export interface InboxOptions<Deps> {
  readonly db: Db;
  readonly consumers: readonly Consumer<Deps>[];
  readonly deps: Deps;
  readonly receipts: Pick<Marks, "note">;
  readonly log: Log;
  /** A handler that takes longer has failed; 5 s when left out. */
  readonly consumerTimeoutMs?: number;
}

/**
 * Deliveries counted since the start, by how they ended. `ignored`: nobody here knows the type, or it is too old to matter;
 * answered with SUCCESS as well. Besides, `forged`: what was not from whom it said, or another body under a known id.
 */
export type InboxFigures = Readonly<Record<"success" | "ignored" | "retry" | "drop" | "dead" | "forged" | "pushFailed", number>>;

export interface Inbox {
  /** For `sidecar.subscribe`. */
  readonly subscriptions: readonly Subscription[];
  readonly figures: () => InboxFigures;
}

/** Stands for the inbox itself where a verdict is no consumer's. */
const OURSELVES = "(inbox)";

/** A topic as the inbox knows it. */
interface Channel {
  readonly topic: string;
  readonly isOurs: boolean;
  /** Who may speak on it. */
  readonly sources: Set<string>;
  /** Types that we know, whether anyone consumes them or not. */
  readonly types: Set<string>;
}

/**
 * Puts consumers behind the subscriptions. Our own topics are subscribed to whatever the consumers are, since receipts come
 * that way, and of other services those that have a consumer; each has its dead-letter topic `<topic>.dead`.
 * @throws Error when two consumers have one name
 */
export function createInbox<Deps>(options: InboxOptions<Deps>): Inbox {
  const names = options.consumers.map((one) => one.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`two consumers are named ${twice}`);
  const counts = { success: 0, ignored: 0, retry: 0, drop: 0, dead: 0, forged: 0, pushFailed: 0 };
  const pushing = createPushing({ ...options, onFailure: () => (counts.pushFailed += 1) });
  const receiver: Receiver<Deps> = { ...options, counts, pushing };
  const subscriptions = channelsOf(options.consumers).flatMap((channel): Subscription[] => [
    {
      topic: channel.topic,
      deadLetterTopic: `${channel.topic}.dead`,
      deliver: (event) => inDeliveryTrace(channel.topic, event, () => receive(receiver, channel, event)),
    },
    {
      topic: `${channel.topic}.dead`,
      deliver: (event) => inDeliveryTrace(`${channel.topic}.dead`, event, () => receiveDead(receiver, channel, event)),
    },
  ]);
  return { subscriptions, figures: () => ({ ...counts }) };
}

function channelsOf(consumers: readonly Pick<Consumer<never>, "event">[]): Channel[] {
  const channels = new Map<string, Channel>();
  const add = (topic: string, type: string, sources: readonly string[]): void => {
    const isOurs = sources.includes(EVENT_SOURCE);
    const channel = channels.get(topic) ?? { topic, isOurs, sources: new Set(), types: new Set() };
    channels.set(topic, channel);
    channel.types.add(type);
    for (const source of sources) channel.sources.add(source);
  };
  for (const { topic, type } of eventTypes()) add(topic, type, [EVENT_SOURCE]);
  for (const { event } of consumers) add(event.topic, event.type, "sources" in event ? event.sources : [EVENT_SOURCE]);
  return [...channels.values()];
}

interface Receiver<Deps> extends InboxOptions<Deps> {
  readonly counts: Record<keyof InboxFigures, number>;
  readonly pushing: Pushing<Deps>;
}

const OUTCOMES = { success: "SUCCESS", ignored: "SUCCESS", retry: "RETRY", drop: "DROP" } as const;
type Ending = keyof typeof OUTCOMES;

async function receive<Deps>(receiver: Receiver<Deps>, channel: Channel, wire: unknown): Promise<DeliveryOutcome> {
  const ending = await judge(receiver, channel, wire);
  receiver.counts[ending] += 1;
  return OUTCOMES[ending];
}

type Read = Extract<Reading, { readonly ok: true }>;

async function judge<Deps>(receiver: Receiver<Deps>, channel: Channel, wire: unknown): Promise<Ending> {
  const read = readEnvelope(wire, channel.isOurs);
  if (!read.ok) {
    await drop(receiver, unreadable(channel.topic, read.id), { reason: read.reason, received: read.received });
    return "drop";
  }
  const origin = await originOf(receiver.db, { ...channel, envelope: read.envelope });
  if (origin === "late") return "ignored";
  if (origin !== "genuine") return await refuse(receiver, channel, read, origin.refused);
  if (!channel.types.has(read.envelope.type)) {
    noteReceipt(receiver, read.envelope);
    return "ignored";
  }
  return await handle(receiver, channel, read);
}

/** Kept for people to look at, and no receipt: the real event may still be on its way. */
async function refuse<Deps>(receiver: Receiver<Deps>, channel: Channel, read: Read, reason: string): Promise<Ending> {
  noteForgery(receiver, read.envelope, reason);
  await drop(receiver, inboxEvent(channel.topic, read), { reason, received: read.received });
  return "drop";
}

function noteForgery<Deps>(receiver: Receiver<Deps>, envelope: Envelope, reason: string): void {
  receiver.counts.forged += 1;
  receiver.log.warn({ eventId: envelope.id, source: envelope.source, type: envelope.type, reason }, "an event is not what it says");
  securityEvent(receiver.log, { kind: "event.forged", reason });
}

async function handle<Deps>(receiver: Receiver<Deps>, channel: Channel, read: Read): Promise<Ending> {
  const { envelope } = read;
  const event = inboxEvent(channel.topic, read);
  const consumers = receiver.consumers.filter((one) => one.event.topic === channel.topic && one.event.type === envelope.type);
  const parsed = consumers[0]?.event.data.safeParse(envelope.data);
  if (parsed?.success === false) {
    await drop(receiver, event, { reason: `data: ${problemsOf(parsed.error)}`, received: read.received });
    noteReceipt(receiver, envelope);
    return "drop";
  }
  const message: NeighbourEvent<unknown> = { ...readable(envelope), data: parsed?.data };
  const outcome = await handleOnce({
    ...receiver,
    event,
    message,
    consumers,
    onTrouble: (trouble) => settle(receiver, event, { ...trouble, received: read.received }),
    onOtherBody: () => noteForgery(receiver, envelope, "event: another body under a known id"),
  });
  await receiver.pushing.push(consumers, message);
  if (outcome === "RETRY") return "retry";
  receiver.pushing.forget(envelope.id);
  noteReceipt(receiver, envelope);
  return outcome === "DROP" ? "drop" : "success";
}

/**
 * The dead-letter topic: nobody is asked again. The event is settled, so that the user's next one can leave. What is not
 * genuine has its verdict from when it was first received, or never was.
 */
async function receiveDead<Deps>(receiver: Receiver<Deps>, channel: Channel, wire: unknown): Promise<DeliveryOutcome> {
  const read = readEnvelope(wire, channel.isOurs);
  if (!read.ok || (await originOf(receiver.db, { ...channel, envelope: read.envelope })) !== "genuine") return "SUCCESS";
  const { envelope } = read;
  const event = inboxEvent(channel.topic, read);
  receiver.counts.dead += 1;
  receiver.log.error({ eventId: envelope.id, type: envelope.type }, "an event was given up: its reason is in the inbox");
  if ((await noteDead(receiver.db, event)) === 0) {
    const trouble = { consumer: OURSELVES, verdict: "DEAD", reason: "given up by the sidecar", received: read.received } as const;
    await noteTrouble(receiver.db, event, trouble);
  }
  receiver.pushing.forget(envelope.id);
  noteReceipt(receiver, envelope);
  return "SUCCESS";
}

type Trouble = Parameters<typeof noteTrouble>[2];

async function drop<Deps>(receiver: Receiver<Deps>, event: InboxEvent, why: Pick<Trouble, "reason" | "received">): Promise<void> {
  await settle(receiver, event, { consumer: OURSELVES, verdict: "DROP", ...why });
}

async function settle<Deps>(receiver: Receiver<Deps>, event: InboxEvent, trouble: Trouble): Promise<void> {
  const clean = { ...trouble, reason: trouble.reason.replaceAll("\0", "").slice(0, 500) };
  if (trouble.verdict === "DROP") {
    receiver.log.error({ eventId: event.id, consumer: trouble.consumer, reason: clean.reason }, "an event was dropped");
    // Not kept, not settled: a rejection here makes the sidecar try again.
    return await noteTrouble(receiver.db, event, clean);
  }
  try {
    await noteTrouble(receiver.db, event, clean);
  } catch (error) {
    receiver.log.warn({ error, eventId: event.id }, "a retry could not be noted; the event is tried again all the same");
  }
}

function noteReceipt<Deps>(receiver: Receiver<Deps>, envelope: Envelope): void {
  if (envelope.source === EVENT_SOURCE) receiver.receipts.note(envelope.id);
}

function readable({ id, type, subject, userversion, time }: Envelope): Omit<NeighbourEvent<unknown>, "data"> {
  return { id, type, subject, userVersion: userversion, time: time === undefined ? undefined : new Date(time) };
}

function inboxEvent(topic: string, { envelope, digest }: Read): InboxEvent {
  return { source: envelope.source, id: envelope.id, topic, type: envelope.type, subject: envelope.subject ?? null, digest };
}

function unreadable(topic: string, id: string): InboxEvent {
  return { source: "(unreadable)", id, topic, type: "(unreadable)", subject: null, digest: null };
}
