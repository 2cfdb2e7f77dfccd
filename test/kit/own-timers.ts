/** The timers that a test file sets, and who set them. Those of Node's own modules (`node:timers/promises`) are not seen. */

import { promisify } from "node:util";

type SetTimer = (callback: (...values: unknown[]) => void, delayMs?: number, ...values: unknown[]) => NodeJS.Timeout;

/** The globals of a test file. */
export interface TimerGlobals {
  setTimeout: SetTimer;
  setInterval: SetTimer;
}

interface SetBy {
  readonly timer: NodeJS.Timeout;
  readonly delayMs: number | undefined;
  readonly at: Error;
}

/** Frames that say who: the first ones are of whoever was asked to wait. */
const FRAMES = 8;
/** What is over is forgotten when there is so much of it. */
const FORGET_FROM = 1_000;

/**
 * Puts itself in front of the timers of `globals`.
 * @returns what is pending and keeps the process alive: its time and who set it
 */
export function watchTimers(globals: TimerGlobals): () => readonly string[] {
  let seen: SetBy[] = [];
  let forgetAt = FORGET_FROM;
  const watched = (set: SetTimer): SetTimer => {
    const setWatched: SetTimer = (callback, delayMs, ...values) => {
      const timer = set(callback, delayMs, ...values);
      seen.push({ timer, delayMs, at: shortTrace() });
      if (seen.length > forgetAt) {
        seen = seen.filter(isPending);
        forgetAt = 2 * seen.length + FORGET_FROM;
      }
      return timer;
    };
    return Object.assign(setWatched, { [promisify.custom]: Reflect.get(set, promisify.custom) });
  };
  globals.setTimeout = watched(globals.setTimeout);
  globals.setInterval = watched(globals.setInterval);
  return () => seen.filter(isPending).map(({ delayMs, at }) => `${delayMs ?? 0} ms${framesOf(at)}`);
}

/** Where one is. Jest wants a hundred frames of every error, which is a tenth of the time of a test that waits often. */
function shortTrace(): Error {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 2 + FRAMES;
  const trace = new Error("set");
  Error.stackTraceLimit = limit;
  return trace;
}

/** Node has no public word for it; this one is as old as timers are, and true after the last call and after being cleared. */
function isPending({ timer }: SetBy): boolean {
  return timer.hasRef() && Reflect.get(timer, "_destroyed") !== true;
}

function framesOf({ stack = "" }: Error): string {
  const frames = stack.split("\n").slice(3, 3 + FRAMES);
  return frames.map((frame) => `\n    ${frame.trim()}`).join("");
}
