/**
 * Passwords that leaked elsewhere, asked of a range API by k-anonymity: five of forty hex digits of the SHA-1 leave, and every
 * suffix that begins so comes back, among padding. Whoever cannot answer in a second is taken for a no.
 */

import { createHash } from "node:crypto";
import { Agent, request, type Dispatcher } from "undici";
import type { Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";

/** Knows of breached passwords what can be found out just now. */
export interface BreachedPasswords {
  /** Whether the password is known to have leaked; false when nobody can tell. Never throws. */
  readonly has: (password: string) => Promise<boolean>;
  readonly close: () => Promise<void>;
}

/** For where no range API is configured. */
export const noBreachedPasswords: BreachedPasswords = { has: () => Promise.resolve(false), close: () => Promise.resolve() };

interface Options {
  /** Base URL of the range API, without a slash at the end: the prefix is asked for as `<url>/ABCDE`. */
  readonly url: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Counts questions that were not answered. */
  readonly onFailure: () => void;
}

const PREFIX_DIGITS = 5;
/** For connection and answer together, in ms: somebody waits for it. */
const ANSWER_WITHIN_MS = 1_000;
/** A real answer is 40 kB. */
const MOST_BYTES = 1024 * 1024;
const COMPLAIN_EVERY_MS = 60_000;
const LINE = /^([0-9A-F]{35}):(\d{1,12})$/;

/** Connects at the first question. Close it at the end. */
export function createBreachedPasswords({ url, clock, log, onFailure }: Options): BreachedPasswords {
  // No HTTP/2: an answer that comes just when its request was given up could end this process (controller/kube.ts).
  const dispatcher = new Agent({ connections: 16, allowH2: false, connect: { timeout: ANSWER_WITHIN_MS } });
  let complainedAtMs = Number.NEGATIVE_INFINITY;
  const failed = (error: unknown): void => {
    onFailure();
    if (clock.monotonicMs() - complainedAtMs < COMPLAIN_EVERY_MS) return;
    complainedAtMs = clock.monotonicMs();
    // The words only: an error of undici may hold the request, and so the prefix.
    log.warn({ why: wordsOf(error) }, "breached passwords cannot be asked for; new ones are accepted unasked");
  };
  return {
    has: async (password) => {
      const digest = createHash("sha1").update(password.normalize("NFC")).digest("hex").toUpperCase();
      try {
        const text = await ask(dispatcher, `${url}/${digest.slice(0, PREFIX_DIGITS)}`);
        return isIn(text, digest.slice(PREFIX_DIGITS));
      } catch (error) {
        failed(error);
        return false;
      }
    },
    close: () => dispatcher.destroy(),
  };
}

/** The answer's text. A redirect is not followed: the digits are for whom the operator named. */
async function ask(dispatcher: Dispatcher, url: string): Promise<string> {
  const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
  const headers = { "add-padding": "true", accept: "text/plain", "user-agent": "user-service" };
  const { statusCode, body } = await request(url, { dispatcher, signal, headers });
  if (statusCode !== 200) {
    // Cut, not read; the cut is an error of the stream that nobody else waits for.
    body.on("error", () => {}).destroy();
    throw new RangeError(`it answered ${statusCode}`);
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new RangeError(`its answer is larger than ${MOST_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("latin1");
}

/** Padding has a count of 0. @throws RangeError for what is no answer of a range API */
function isIn(text: string, suffix: string): boolean {
  const lines = text.split(/\r?\n/).map((line) => LINE.exec(line.trim().toUpperCase()));
  if (!lines.some((line) => line !== null)) throw new RangeError("its answer is not one of a range API");
  return lines.some((line) => line?.[1] === suffix && Number(line[2]) >= 1);
}

/** @returns our own words, or the code of what failed below us */
function wordsOf(error: unknown): string {
  if (error instanceof RangeError) return error.message;
  const { name = "Error", code } = error as { readonly name?: string; readonly code?: unknown };
  return name === "TimeoutError" ? `no answer within ${ANSWER_WITHIN_MS} ms` : typeof code === "string" ? code : name;
}
