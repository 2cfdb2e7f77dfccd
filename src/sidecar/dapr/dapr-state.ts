/** State through daprd. Written for its Redis store; the in-memory one of development behaves the same. */

import { checkStateKey, type Expected, type SidecarState } from "../port.ts";
import type { DaprAnswer, DaprCall, DaprClient } from "./dapr-client.ts";
import { DaprError, messageOf } from "./dapr-errors.ts";

/** The component's name, as in dapr/. */
const STORE = "state";

/** State kept by the component `state`. */
export function daprState(client: DaprClient): SidecarState {
  return {
    get: async (key, signal) => {
      const answer = await client.call({ method: "GET", path: pathOf(key) }, signal);
      if (answer.status === 204) return undefined;
      const { etag } = answer.headers;
      if (answer.status !== 200 || typeof etag !== "string") throw new DaprError("reading state", answer);
      return { value: JSON.parse(answer.text) as unknown, etag };
    },
    set: async (key, value, { expected, ttlSeconds }, signal) => {
      checkStateKey(key);
      const metadata = ttlSeconds === undefined ? {} : { ttlInSeconds: String(ttlSeconds) };
      const entry = { key, value, metadata, options: { concurrency: "first-write", consistency: "strong" } };
      const answer = await client.call(write({ ...entry, etag: expected === "nothing" ? NO_VERSION : expected.etag }), signal);
      if (answer.status === 409 && neverThere(answer, expected)) return outcome("set", await client.call(write(entry), signal));
      return outcome("set", answer);
    },
    delete: async (key, expected, signal) => {
      const path = `${pathOf(key)}?concurrency=first-write`;
      const headers = expected === "anything" ? {} : { "if-match": expected.etag };
      return outcome("deleted", await client.call({ method: "DELETE", path, headers }, signal));
    },
  };
}

/** The version of a key that is not there, for Redis: without a tag its refusal could not be told from a failure (500, 1.18.1). */
const NO_VERSION = "0";

/**
 * daprd's in-memory store takes no tag for a key that is not there. The same write without one is made only where nothing is,
 * by that store; Redis never says this.
 */
function neverThere(answer: DaprAnswer, expected: Expected): boolean {
  return expected === "nothing" && messageOf(answer).includes("state not exist");
}

function write(entry: object): DaprCall {
  const headers = { "content-type": "application/json" };
  return { method: "POST", path: `/v1.0/state/${STORE}`, headers, body: JSON.stringify([entry]) };
}

/** A key may be `..`, so dots are escaped as well. */
function pathOf(key: string): string {
  checkStateKey(key);
  return `/v1.0/state/${STORE}/${encodeURIComponent(key).replaceAll(".", "%2E")}`;
}

function outcome<Done extends string>(done: Done, answer: DaprAnswer): Done | "conflict" {
  if (answer.status === 204) return done;
  if (answer.status === 409) return "conflict";
  throw new DaprError(done === "set" ? "writing state" : "deleting state", answer);
}
