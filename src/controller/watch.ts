/** The objects of one kind as the API server has them: a list, then a watch from where it ended, for as long as it takes. */

import { backoffMs } from "#src/kernel/backoff";
import type { Log } from "#src/kernel/log";
import { createWakeup } from "#src/kernel/wakeup";
import { KubeError, type Kube } from "./kube.ts";
import { keyOf, USERBANS_PATH, type UserBan } from "./userban.ts";

export interface UserBanWatchOptions {
  readonly kube: Kube;
  readonly log: Log;
  /** The object of that key is new or has changed. */
  readonly changed: (key: string) => void;
  /** An incarnation is gone; `last` is how it was seen last. */
  readonly gone: (last: UserBan) => void;
  /** A list is complete: `get` and `keys` tell all there is. */
  readonly listed: () => void;
  /** The stream ended otherwise than by the server's time. */
  readonly restarted?: (why: "gone" | "failed") => void;
  readonly random?: () => number;
}

/** The cache and what keeps it true. */
export interface UserBanWatch {
  /** Runs until the signal is aborted; never rejects. */
  readonly run: (signal: AbortSignal) => Promise<void>;
  readonly get: (key: string) => UserBan | undefined;
  readonly keys: () => readonly string[];
  /** Whether there was a complete list since `run`. */
  readonly isListed: () => boolean;
  /** Takes over what the server answered to a write, unless the stream was faster. */
  readonly put: (ban: UserBan) => void;
}

const LIST_LIMIT = 500;
const WATCH_LEAST_SECONDS = 300;
const PAUSE = { firstMs: 200, mostMs: 5_000 };

interface Page {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly UserBan[];
}

/** Makes the watch; it asks nothing before `run`. */
export function createUserBanWatch(options: UserBanWatchOptions): UserBanWatch {
  return new Watch(options);
}

class Watch implements UserBanWatch {
  readonly #options: UserBanWatchOptions;
  readonly #objects = new Map<string, UserBan>();
  /** Where the stream goes on; undefined: with a list. */
  #resourceVersion: string | undefined;
  #isListed = false;
  #failures = 0;
  #lastComplaint = "";

  constructor(options: UserBanWatchOptions) {
    this.#options = options;
  }

  readonly get = (key: string): UserBan | undefined => this.#objects.get(key);

  readonly keys = (): readonly string[] => [...this.#objects.keys()];

  readonly isListed = (): boolean => this.#isListed;

  readonly put = (ban: UserBan): void => {
    const key = keyOf(ban);
    const known = this.#objects.get(key);
    if (known?.metadata.uid === ban.metadata.uid && !isOlder(ban, known)) this.#objects.set(key, slim(ban));
  };

  readonly run = async (signal: AbortSignal): Promise<void> => {
    const wakeup = createWakeup();
    while (!signal.aborted) {
      const isBroken = await this.#round(signal);
      if (isBroken) this.#failures += 1;
      // A server that closes each stream at once must not be asked without a pause either.
      await wakeup.pause(backoffMs(Math.max(1, this.#failures), PAUSE, this.#options.random), signal);
    }
  };

  /** One list, if needed, and one stream. @returns whether it failed */
  async #round(signal: AbortSignal): Promise<boolean> {
    try {
      this.#resourceVersion ??= await this.#list(signal);
      await this.#follow(this.#resourceVersion, signal);
      return false;
    } catch (error) {
      if (signal.aborted) return false;
      const isGone = error instanceof KubeError && error.status === 410;
      // Our place in the stream is too old, or the kind itself is not there (any more): begin with a list.
      if (isGone || (error instanceof KubeError && error.status === 404)) this.#resourceVersion = undefined;
      this.#options.restarted?.(isGone ? "gone" : "failed");
      if (!isGone) this.#complain(error);
      return true;
    }
  }

  async #list(signal: AbortSignal): Promise<string> {
    const { kube, log, listed } = this.#options;
    const found = new Map<string, UserBan>();
    let next = "";
    let resourceVersion: string;
    do {
      const query = new URLSearchParams({ limit: String(LIST_LIMIT), ...(next === "" ? {} : { continue: next }) });
      const page: Page = await kube.send("GET", `${USERBANS_PATH}/userbans?${query.toString()}`, signal);
      for (const ban of page.items) found.set(keyOf(ban), slim(ban));
      next = page.metadata.continue ?? "";
      resourceVersion = page.metadata.resourceVersion;
    } while (next !== "");
    this.#replace(found);
    this.#isListed = true;
    this.#recovered();
    log.info({ userBans: found.size }, "the UserBans are listed");
    listed();
    return resourceVersion;
  }

  /** Takes a complete list for the truth. Whoever was made again under its old name is another. */
  #replace(found: ReadonlyMap<string, UserBan>): void {
    for (const known of this.#objects.values()) {
      if (found.get(keyOf(known))?.metadata.uid !== known.metadata.uid) this.#drop(known);
    }
    for (const ban of found.values()) this.#take(ban, "listed");
  }

  async #follow(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const { kube, random = Math.random } = this.#options;
    const query = new URLSearchParams({
      watch: "true",
      allowWatchBookmarks: "true",
      resourceVersion,
      timeoutSeconds: String(Math.round(WATCH_LEAST_SECONDS * (1 + random()))),
    });
    for await (const { type, object } of kube.watch<UserBan>(`${USERBANS_PATH}/userbans?${query.toString()}`, signal)) {
      this.#recovered();
      if (type === "DELETED") this.#drop(object);
      else if (type !== "BOOKMARK") this.#take(slim(object), "streamed");
      this.#resourceVersion = object.metadata.resourceVersion;
    }
  }

  /** A list is believed even when it goes back: the server's data may have been restored. */
  #take(ban: UserBan, from: "listed" | "streamed"): void {
    const key = keyOf(ban);
    const known = this.#objects.get(key);
    if (known !== undefined && known.metadata.uid !== ban.metadata.uid) this.#drop(known);
    else if (known !== undefined && from === "streamed" && isOlder(ban, known)) return;
    const isKnown = known?.metadata.resourceVersion === ban.metadata.resourceVersion;
    this.#objects.set(key, ban);
    // Our own writes come back on the stream; what they said is done.
    if (!isKnown) this.#options.changed(key);
  }

  #drop(ban: UserBan): void {
    const key = keyOf(ban);
    if (this.#objects.get(key)?.metadata.uid === ban.metadata.uid) this.#objects.delete(key);
    this.#options.gone(slim(ban));
  }

  #recovered(): void {
    if (this.#failures > 0) this.#options.log.info({}, "the UserBans are watched again");
    this.#failures = 0;
    this.#lastComplaint = "";
  }

  /** Once for each kind of trouble, not once a try. */
  #complain(error: unknown): void {
    const status = error instanceof KubeError ? error.status : 0;
    const kind = error instanceof KubeError ? `${status}` : "unreachable";
    if (kind === this.#lastComplaint) return;
    this.#lastComplaint = kind;
    const { log } = this.#options;
    if (status === 404) log.warn({}, "the CustomResourceDefinition userbans.moderation.videamozi.io is not installed; waiting for it");
    else if (status === 401 || status === 403) log.error({ error }, "the API server does not let this controller list and watch userbans");
    else log.warn({ error }, "the UserBans cannot be watched just now; it is tried again");
  }
}

/** Resource versions of one kind can be compared (KEP-5504); where they cannot, nothing is older. */
function isOlder(one: UserBan, other: UserBan): boolean {
  const [a, b] = [Number(one.metadata.resourceVersion), Number(other.metadata.resourceVersion)];
  return Number.isSafeInteger(a) && Number.isSafeInteger(b) && a < b;
}

/** Without what only others read: it is half of the object. */
function slim(ban: UserBan): UserBan {
  const { managedFields: _, ...metadata } = ban.metadata as UserBan["metadata"] & { managedFields?: unknown };
  const annotations = Object.entries(metadata.annotations ?? {}).filter(([name]) => !name.startsWith("kubectl."));
  return { ...ban, metadata: { ...metadata, annotations: Object.fromEntries(annotations) } };
}
