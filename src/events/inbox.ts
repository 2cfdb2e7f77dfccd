/** Events inwards: the subscription table, and the way from a delivery to consumers, a verdict and a receipt. */

import type { Topic } from "#src/contract/event-types";
import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import type { Log } from "#src/kernel/log";
import type { DeliveryOutcome, Subscription } from "#src/sidecar/port";
import { EVENT_SOURCE, problemsOf, readEnvelope, type Envelope } from "./cloud-event.ts";
import type { Consumer, ReceivedEvent, Verdict } from "./consumer.ts";
import { claimOnce, noteDead, noteTrouble, type InboxEvent } from "./inbox.sql.ts";
import type { Receipts } from "./receipts.ts";

export interface InboxOptions<Deps> {
  readonly db: Db;
  readonly consumers: readonly Consumer<Deps>[];
  readonly deps: Deps;
  readonly receipts: Pick<Receipts, "note">;
  readonly log: Log;
  /** A handler that takes longer has failed; 5 s when left out. */
  readonly consumerTimeoutMs?: number;
}

/** Verdicts counted since the start. */
export type InboxFigures = Readonly<Record<"success" | "retry" | "drop" | "dead" | "pushFailed", number>>;

export interface Inbox {
  /** For `sidecar.subscribe`. */
  readonly subscriptions: readonly Subscription[];
  readonly figures: () => InboxFigures;
}

const TOPICS: readonly Topic[] = ["users.v1", "users.private.v1"];
/** Stands for the inbox itself where a verdict is no consumer's. */
const OURSELVES = "(inbox)";

/**
 * Puts consumers behind the subscriptions. Both topics are subscribed to whatever the consumers are, since receipts come
 * that way; each has its dead-letter topic `<topic>.dead`.
 * @throws Error when two consumers have one name
 */
export function createInbox<Deps>(options: InboxOptions<Deps>): Inbox {
  const names = options.consumers.map((one) => one.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`two consumers are named ${twice}`);
  const counts = { success: 0, retry: 0, drop: 0, dead: 0, pushFailed: 0 };
  const receiver: Receiver<Deps> = { ...options, counts, pushed: new Set() };
  const subscriptions = TOPICS.flatMap((topic): Subscription[] => [
    { topic, deadLetterTopic: `${topic}.dead`, deliver: (event) => receive(receiver, topic, event) },
    { topic: `${topic}.dead`, deliver: (event) => receiveDead(receiver, topic, event) },
  ]);
  return { subscriptions, figures: () => ({ ...counts }) };
}

interface Receiver<Deps> extends InboxOptions<Deps> {
  readonly counts: Record<keyof InboxFigures, number>;
  /** Events that are being tried again and have been pushed: once is enough. */
  readonly pushed: Set<string>;
}

const MOST_REMEMBERED = 10_000;

const COUNTED_AS = { SUCCESS: "success", RETRY: "retry", DROP: "drop" } as const;

async function receive<Deps>(receiver: Receiver<Deps>, topic: Topic, received: unknown): Promise<DeliveryOutcome> {
  const outcome = await judge(receiver, topic, received);
  receiver.counts[COUNTED_AS[outcome]] += 1;
  return outcome;
}

async function judge<Deps>(receiver: Receiver<Deps>, topic: Topic, received: unknown): Promise<DeliveryOutcome> {
  const read = readEnvelope(received);
  if (!read.ok) {
    await settle(receiver, unreadable(topic, read.id), { consumer: OURSELVES, verdict: "DROP", reason: read.reason, received });
    return "DROP";
  }
  const { envelope } = read;
  const event = inboxEvent(topic, envelope);
  const consumers = receiver.consumers.filter((one) => one.event.topic === topic && one.event.type === envelope.type);
  const parsed = consumers[0]?.event.data.safeParse(envelope.data);
  if (parsed?.success === false) {
    await settle(receiver, event, { consumer: OURSELVES, verdict: "DROP", reason: `data: ${problemsOf(parsed.error)}`, received });
    noteReceipt(receiver, envelope);
    return "DROP";
  }
  const message = { ...readable(envelope), data: parsed?.data } as ReceivedEvent<never>;
  const outcome = await handleOnce(receiver, event, { message, received, consumers });
  await pushAll(receiver, consumers, message);
  if (outcome === "RETRY") return outcome;
  receiver.pushed.delete(envelope.id);
  noteReceipt(receiver, envelope);
  return outcome;
}

/** The dead-letter topic: nobody is asked again. The event is settled, so that the user's next one can leave. */
async function receiveDead<Deps>(receiver: Receiver<Deps>, topic: Topic, received: unknown): Promise<DeliveryOutcome> {
  const read = readEnvelope(received);
  // Its verdict was written when it was first received.
  if (!read.ok) return "SUCCESS";
  const { envelope } = read;
  receiver.counts.dead += 1;
  receiver.log.error({ eventId: envelope.id, type: envelope.type }, "an event was given up: its reason is in the inbox");
  if ((await noteDead(receiver.db, envelope)) === 0) {
    const trouble = { consumer: OURSELVES, verdict: "DEAD", reason: "given up by the sidecar", received } as const;
    await noteTrouble(receiver.db, inboxEvent(topic, envelope), trouble);
  }
  receiver.pushed.delete(envelope.id);
  noteReceipt(receiver, envelope);
  return "SUCCESS";
}

interface Reading<Deps> {
  readonly message: ReceivedEvent<never>;
  readonly received: unknown;
  readonly consumers: readonly Consumer<Deps>[];
}

/** Every consumer is asked, whatever another said; one that has handled the event is not asked again. */
async function handleOnce<Deps>(receiver: Receiver<Deps>, event: InboxEvent, reading: Reading<Deps>): Promise<DeliveryOutcome> {
  const outcomes = new Set<DeliveryOutcome>();
  for (const consumer of reading.consumers.filter((one) => one.delivery === "once")) {
    const verdict = await handleInTx(receiver, consumer, event, reading.message);
    outcomes.add(verdict.outcome);
    if (verdict.outcome === "SUCCESS") continue;
    const trouble = { consumer: consumer.name, verdict: verdict.outcome, reason: verdict.reason, received: reading.received };
    await settle(receiver, event, trouble);
  }
  if (outcomes.has("RETRY")) return "RETRY";
  return outcomes.has("DROP") ? "DROP" : "SUCCESS";
}

/** Carries a verdict out of a transaction that must not commit. */
class Refused extends Error {
  readonly verdict: Verdict;

  constructor(verdict: Verdict) {
    super("the handler's writes are rolled back");
    this.verdict = verdict;
  }
}

async function handleInTx<Deps>(
  receiver: Receiver<Deps>,
  consumer: Consumer<Deps>,
  event: InboxEvent,
  message: ReceivedEvent<never>,
): Promise<Verdict> {
  try {
    return await inTx(receiver.db, async (tx) => {
      if (!(await claimOnce(tx, consumer.name, event))) return { outcome: "SUCCESS" };
      const verdict = await inTime(consumer.handle(receiver.deps, message, tx), receiver.consumerTimeoutMs);
      if (verdict.outcome !== "SUCCESS") throw new Refused(verdict);
      return verdict;
    });
  } catch (error) {
    if (error instanceof Refused) return error.verdict;
    receiver.log.warn({ error, consumer: consumer.name, eventId: event.id }, "a consumer failed; the event is tried again");
    return { outcome: "RETRY", reason: String(error) };
  }
}

async function pushAll<Deps>(receiver: Receiver<Deps>, consumers: readonly Consumer<Deps>[], message: ReceivedEvent<never>): Promise<void> {
  if (receiver.pushed.has(message.id)) return;
  if (receiver.pushed.size >= MOST_REMEMBERED) receiver.pushed.clear();
  receiver.pushed.add(message.id);
  await Promise.all(consumers.filter((one) => one.delivery === "push").map((one) => push(receiver, one, message)));
}

async function push<Deps>(receiver: Receiver<Deps>, consumer: Consumer<Deps>, message: ReceivedEvent<never>): Promise<void> {
  try {
    // A push has no transaction, and its type does not let it have one.
    const verdict = await inTime(consumer.handle(receiver.deps, message, undefined as never), receiver.consumerTimeoutMs);
    if (verdict.outcome === "SUCCESS") return;
    receiver.log.warn(
      { consumer: consumer.name, eventId: message.id, reason: verdict.reason },
      "a push was refused; it is not tried again",
    );
  } catch (error) {
    receiver.log.warn({ error, consumer: consumer.name, eventId: message.id }, "a push failed; it is not tried again");
  }
  receiver.counts.pushFailed += 1;
}

async function inTime<T>(work: Promise<T>, timeoutMs = 5_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

type Trouble = Parameters<typeof noteTrouble>[2];

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

function readable(envelope: Envelope): Omit<ReceivedEvent<never>, "data"> {
  return {
    id: envelope.id,
    type: envelope.type,
    subject: envelope.subject,
    userVersion: envelope.userversion,
    time: new Date(envelope.time),
  };
}

function inboxEvent(topic: Topic, envelope: Envelope): InboxEvent {
  return { source: envelope.source, id: envelope.id, topic, type: envelope.type, subject: envelope.subject };
}

function unreadable(topic: Topic, id: string): InboxEvent {
  return { source: "(unreadable)", id, topic, type: "(unreadable)", subject: null };
}
