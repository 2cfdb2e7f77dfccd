/** Events on the object, as `kubectl describe` shows them: what happened, when its status alone would not tell. */

import { randomBytes } from "#src/kernel/random";
import { delay, type Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import type { Kube } from "./kube.ts";
import { conditionOf } from "./conditions.ts";
import { keyOf, type UserBan, type UserBanStatus } from "./userban.ts";

/** What is told. */
export interface Note {
  readonly type: "Normal" | "Warning";
  /** In one word. */
  readonly reason: string;
  readonly message: string;
}

/** Writes Events; repeats within ten minutes are counted in the first. */
export interface EventRecorder {
  /** Has it written behind the caller's back: no ban waits for the Event of another. One that fails is logged, and worth no retry. */
  readonly record: (ban: UserBan, note: Note) => void;
  /** Resolves when nothing is under way; for after the signal's abort. */
  readonly idle: () => Promise<void>;
}

export interface EventRecorderOptions {
  readonly kube: Kube;
  readonly clock: Clock;
  readonly log: Log;
  /** Who reports. */
  readonly identity: string;
  /** What waits when it is aborted is dropped. */
  readonly signal: AbortSignal;
  /** Whether so many bans wait that their Events had better wait too. */
  readonly isBusy: () => boolean;
}

const AGGREGATE_MS = 600_000;
const MOST_REMEMBERED = 500;
const MOST_WAITING = 5_000;
/** An Event costs the API server as much as a ban's own writes do: of a mass of bans the Events come after it, at most this much later. */
const BUSY_MOST_MS = 60_000;
const BUSY_LOOK_MS = 100;
const NAME_LIMIT = 230;
const MESSAGE_LIMIT = 1024;

/** What is to be written, and when it happened. */
interface Noted {
  readonly ban: UserBan;
  readonly note: Note;
  readonly at: Date;
  readonly monotonicMs: number;
}

interface Remembered {
  readonly path: string;
  readonly count: number;
  readonly atMs: number;
}

/** Makes a recorder. One Event is under way at a time, so that they take the least part of what the API server can do. */
export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { clock, log, signal, isBusy } = options;
  const write = createWriter(options);
  const waiting: Noted[] = [];
  let writing: Promise<void> | undefined;
  const writeAll = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined && !signal.aborted; next = waiting.shift()) {
      const { ban, monotonicMs } = next;
      while (isBusy() && clock.monotonicMs() - monotonicMs < BUSY_MOST_MS && !signal.aborted)
        await delay(BUSY_LOOK_MS, signal).catch(() => {});
      await write(next).catch((error: unknown) => {
        if (!signal.aborted) log.warn({ error, userBan: keyOf(ban) }, "an Event could not be written");
      });
    }
    writing = undefined;
  };
  return {
    record: (ban, note) => {
      if (waiting.length >= MOST_WAITING) waiting.shift();
      waiting.push({ ban, note, at: clock.now(), monotonicMs: clock.monotonicMs() });
      writing ??= writeAll();
    },
    idle: async () => await writing,
  };
}

/** @throws as `Kube.send`, from what it returns */
function createWriter({ kube, identity, signal }: EventRecorderOptions): (noted: Noted) => Promise<void> {
  const remembered = new Map<string, Remembered>();
  return async ({ ban, note, at, monotonicMs: atMs }) => {
    const key = JSON.stringify([ban.metadata.uid, note.type, note.reason, note.message]);
    const known = remembered.get(key);
    remembered.delete(key);
    const isRepeat = known !== undefined && atMs - known.atMs < AGGREGATE_MS;
    const path = isRepeat ? known.path : `/api/v1/namespaces/${ban.metadata.namespace}/events`;
    const count = isRepeat ? known.count + 1 : 1;
    const now = at.toISOString().replace(/\.\d{3}Z$/, "Z");
    if (isRepeat) await kube.patch(path, { count, lastTimestamp: now }, signal);
    const name = `${ban.metadata.name.slice(0, NAME_LIMIT)}.${randomBytes(8).toString("hex")}`;
    if (!isRepeat) await kube.send("POST", path, signal, eventOf(ban, note, { name, now, identity }));
    remembered.set(key, { path: isRepeat ? path : `${path}/${name}`, count, atMs: isRepeat ? known.atMs : atMs });
    const [oldest] = remembered.keys();
    if (remembered.size > MOST_REMEMBERED && oldest !== undefined) remembered.delete(oldest);
  };
}

function eventOf(
  { apiVersion, kind, metadata }: UserBan,
  note: Note,
  own: { readonly name: string; readonly now: string; readonly identity: string },
): unknown {
  const { name, namespace, uid, resourceVersion } = metadata;
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: own.name, namespace },
    involvedObject: { apiVersion, kind, name, namespace, uid, resourceVersion },
    type: note.type,
    reason: note.reason,
    message: note.message.slice(0, MESSAGE_LIMIT),
    source: { component: "user-service-controller", host: own.identity },
    firstTimestamp: own.now,
    lastTimestamp: own.now,
    count: 1,
  };
}

/** What a new status is worth telling: its headline, where that is another than before, and each repair. */
export function noteOn(before: UserBanStatus | undefined, after: UserBanStatus): Note | undefined {
  const drifted = conditionOf(after, "Drifted");
  if (drifted?.reason === "Repaired" && conditionOf(before, "Drifted")?.message !== drifted.message)
    return { type: "Warning", reason: "Repaired", message: drifted.message };
  const next = headline(after);
  const last = headline(before);
  return next === undefined || (next.reason === last?.reason && next.message === last.message) ? undefined : next;
}

function headline(status: UserBanStatus | undefined): Note | undefined {
  const accepted = conditionOf(status, "Accepted");
  const enforced = conditionOf(status, "Enforced");
  if (accepted === undefined || enforced === undefined) return undefined;
  const isWell = accepted.reason === "Accepted";
  const { reason, message } = isWell ? enforced : accepted;
  return { type: isWell || reason === "Paused" || reason === "Expired" ? "Normal" : "Warning", reason, message };
}
