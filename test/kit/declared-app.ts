/**
 * Another program that answers the contract of declared restrictions, in memory: for tests of the controller alone, since it can be
 * told to fail, to say nothing, or to talk nonsense. The real one is the service; test/stories has both together.
 */

import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Invoke } from "#src/client/restrictions";
import {
  DECLARATION_CODES,
  restrictionEnd,
  restrictionWish,
  type DeclarationOutcome,
  type DeclaredRestriction,
  type RestrictionEnd,
  type RestrictionWish,
} from "#src/contract/external-restrictions";
import { systemClock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";

/** How it behaves: as documented; 500; an HTML page; silence; nothing applied or applied and then silence. */
export type Mood = "well" | "failing" | "garbage" | "silent" | "mute-after";

/** One call that arrived. */
export interface DeclaredCall {
  readonly method: string;
  readonly externalId: string;
  readonly uid?: string | undefined;
  readonly generation?: number | undefined;
  readonly status: number;
  readonly code?: string | undefined;
  readonly traceparent?: string | undefined;
}

/** A running one. */
export interface DeclaredApp extends AsyncDisposable {
  readonly url: string;
  readonly calls: readonly DeclaredCall[];
  /** By external id; the live incarnation or the last. */
  readonly get: (externalId: string) => DeclaredRestriction | undefined;
  /** Makes an account. @returns its id */
  readonly addUser: (user: { readonly username: string; readonly email?: string; readonly isStaff?: boolean }) => string;
  /** As a moderator would, past the declaration. */
  readonly lift: (externalId: string) => void;
  /** By which policy it was ended. */
  readonly endedBy: (externalId: string) => "lift" | "keep" | undefined;
  /** Declares as if a controller had. */
  readonly declare: (externalId: string, wish: RestrictionWish) => void;
  mood: Mood;
}

interface User {
  readonly id: string;
  readonly username: string;
  readonly email: string | undefined;
  readonly isStaff: boolean;
}

interface Entry {
  wish: RestrictionWish;
  state: "live" | "lifted" | "gone";
  userId: string | null;
  restrictionId: string | null;
  enforcedAt: Date | null;
  endedBy?: "lift" | "keep";
}

interface Answer {
  readonly outcome: DeclarationOutcome;
  readonly restriction: DeclaredRestriction;
}

class Refusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, detail: string) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/** Starts one on a free port of 127.0.0.1. */
export async function startDeclaredApp(): Promise<DeclaredApp> {
  const app = new App();
  const server = createServer((request, response) => void app.answer(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(app, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  });
}

class App {
  readonly calls: DeclaredCall[] = [];
  mood: Mood = "well";
  readonly #users: User[] = [];
  readonly #entries = new Map<string, Entry>();

  readonly addUser = (user: { readonly username: string; readonly email?: string; readonly isStaff?: boolean }): string => {
    const id = newUuid(systemClock);
    this.#users.push({ id, username: user.username, email: user.email, isStaff: user.isStaff === true });
    return id;
  };

  readonly lift = (externalId: string): void => {
    const entry = this.#entries.get(externalId);
    if (entry !== undefined) entry.state = "lifted";
  };

  readonly declare = (externalId: string, wish: RestrictionWish): void => void this.#put(externalId, wish);

  readonly endedBy = (externalId: string): "lift" | "keep" | undefined => this.#entries.get(externalId)?.endedBy;

  readonly get = (externalId: string): DeclaredRestriction | undefined => {
    const entry = this.#entries.get(externalId);
    return entry === undefined ? undefined : view(externalId, entry);
  };

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "", headers } = request;
    const { mood } = this;
    const text = (await request.setEncoding("utf8").toArray()).join("");
    if (mood === "silent") return;
    const [status, body] = mood === "failing" ? [500, { code: "service.internal_error" }] : this.#handle(method, url, text);
    const told = text === "" ? {} : (JSON.parse(text) as { readonly uid?: string; readonly generation?: number });
    const { code } = body as { readonly code?: string };
    const { uid, generation } = told;
    const externalId = decodeURIComponent(url.split("?")[0]?.split("/")[4] ?? "");
    this.calls.push({ method, externalId, uid, generation, status, code, traceparent: headers["traceparent"] as string | undefined });
    if (mood === "mute-after") return;
    response.writeHead(status, { "content-type": "application/json" });
    response.end(mood === "garbage" ? "<html>It works!</html>" : JSON.stringify(body));
  }

  #handle(method: string, url: string, text: string): [number, unknown] {
    const [path = "", query = ""] = url.split("?");
    const externalId = decodeURIComponent(path.split("/")[4] ?? "");
    try {
      if (method === "PUT") return [200, this.#put(externalId, restrictionWish.parse(JSON.parse(text)))];
      if (method === "DELETE") return [200, this.#end(externalId, restrictionEnd.parse(JSON.parse(text)))];
      if (externalId === "") return [200, this.#page(new URLSearchParams(query))];
      const found = this.get(externalId);
      return found === undefined ? [404, { code: DECLARATION_CODES.notFound }] : [200, found];
    } catch (error) {
      if (!(error instanceof Refusal)) return [400, { code: DECLARATION_CODES.invalid, detail: String(error).slice(0, 100) }];
      return [error.status, { code: error.code, detail: error.message }];
    }
  }

  #put(externalId: string, wish: RestrictionWish): Answer {
    const known = this.#entries.get(externalId);
    const own = known?.wish.uid === wish.uid ? known : undefined;
    fence(known, wish);
    const userId = own?.userId ?? this.#resolve(wish);
    this.#refuse(externalId, wish, { userId, isRepeat: own?.wish.generation === wish.generation });
    const entry: Entry = {
      wish,
      state: "live",
      userId,
      restrictionId: own?.restrictionId ?? (userId === null ? null : newUuid(systemClock)),
      enforcedAt: own?.enforcedAt ?? null,
    };
    this.#entries.set(externalId, entry);
    return { outcome: outcomeOf(own, entry), restriction: view(externalId, entry) };
  }

  #refuse(
    externalId: string,
    wish: RestrictionWish,
    { userId, isRepeat }: { readonly userId: string | null; readonly isRepeat: boolean },
  ): void {
    const user = this.#users.find(({ id }) => id === userId);
    if (user?.isStaff === true && !wish.staffAllowed) throw new Refusal(403, DECLARATION_CODES.staffTarget, "A moderator");
    if (!isRepeat && wish.expiresAt !== undefined && new Date(wish.expiresAt) <= systemClock.now())
      throw new Refusal(400, DECLARATION_CODES.invalid, "must be after startsAt and not in the past");
    if (userId !== null) this.#refuseConflict(externalId, userId);
  }

  #refuseConflict(externalId: string, userId: string): void {
    for (const [name, other] of this.#entries) {
      if (name !== externalId && other.userId === userId && other.state !== "gone")
        throw new Refusal(409, DECLARATION_CODES.conflict, `restricted by ${name}`);
    }
  }

  #end(externalId: string, end: RestrictionEnd): Answer {
    const known = this.#entries.get(externalId);
    const outcome = end.policy === "lift" ? "lifted" : "kept";
    if (known !== undefined && known.wish.uid !== end.uid) {
      const restriction = { ...view(externalId, known), uid: end.uid, generation: end.generation, state: "gone" as const };
      return { outcome, restriction };
    }
    if (known !== undefined && end.generation < known.wish.generation)
      throw new Refusal(409, DECLARATION_CODES.superseded, `Generation ${known.wish.generation} is known`);
    const wish: RestrictionWish = known?.wish ?? {
      ...end,
      user: { username: "-" },
      kind: "ban",
      reason: "-",
      requestedBy: "-",
      staffAllowed: false,
    };
    const entry: Entry = { userId: null, restrictionId: null, enforcedAt: null, ...known, wish, state: "gone", endedBy: end.policy };
    this.#entries.set(externalId, entry);
    return { outcome, restriction: view(externalId, entry) };
  }

  #page(query: URLSearchParams): { data: DeclaredRestriction[]; nextAfter: string | null } {
    const after = query.get("after") ?? "";
    const limit = Number(query.get("limit") ?? 100);
    const live = [...this.#entries].filter(([name, { state }]) => state !== "gone" && name > after).sort(([a], [b]) => (a < b ? -1 : 1));
    const data = live.slice(0, limit).map(([name, entry]) => view(name, entry));
    return { data, nextAfter: live.length > limit ? (data.at(-1)?.externalId ?? null) : null };
  }

  #resolve({ user }: RestrictionWish): string | null {
    const hash = (email: string): string => createHash("sha256").update(email.toLowerCase()).digest("hex");
    const found = this.#users.find((one) => {
      if ("id" in user) return one.id === user.id;
      if ("username" in user) return one.username.toLowerCase() === user.username.toLowerCase();
      if (one.email === undefined) return false;
      return hash(one.email) === ("email" in user ? hash(user.email) : user.emailHash);
    });
    if (found === undefined && ("id" in user || "username" in user)) throw new Refusal(404, DECLARATION_CODES.userNotFound, "No such user");
    return found?.id ?? null;
  }
}

function fence(known: Entry | undefined, wish: RestrictionWish): void {
  if (known === undefined) return;
  const refuse = (detail: string): never => {
    throw new Refusal(409, DECLARATION_CODES.superseded, detail);
  };
  if (known.wish.uid !== wish.uid) {
    if (new Date(known.wish.createdAt) > new Date(wish.createdAt)) refuse("A later incarnation is known");
    return;
  }
  if (known.state === "gone") refuse("That incarnation has ended");
  if (wish.generation < known.wish.generation) refuse(`Generation ${known.wish.generation} is known`);
  const content = (one: RestrictionWish): string => JSON.stringify({ ...one, staffAllowed: true });
  if (wish.generation === known.wish.generation && content(wish) !== content(known.wish)) refuse("known with other content");
}

function outcomeOf(before: Entry | undefined, after: Entry): DeclarationOutcome {
  if (after.userId === null) return "waiting";
  if (before === undefined) return "imposed";
  if (before.state === "lifted") return "repaired";
  return before.wish.generation === after.wish.generation && before.restrictionId !== null ? "unchanged" : "replaced";
}

/** As the service says it; the first look at one in force is when it was first enforced. */
function view(externalId: string, entry: Entry): DeclaredRestriction {
  const { wish, userId, restrictionId } = entry;
  const startsAt = wish.startsAt ?? null;
  const state = stateOf(entry);
  return {
    source: "kubernetes",
    externalId,
    uid: wish.uid,
    generation: wish.generation,
    state,
    userId,
    restrictionId,
    startsAt,
    expiresAt: endOf(entry)?.toISOString() ?? null,
    enforcedAt: entry.enforcedAt?.toISOString() ?? null,
    sessionsRevoked: entry.enforcedAt === null ? 0 : 2,
  };
}

function stateOf(entry: Entry): DeclaredRestriction["state"] {
  if (entry.state !== "live") return entry.state;
  if (entry.userId === null) return "waiting";
  const now = systemClock.now();
  const { startsAt } = entry.wish;
  if (startsAt !== undefined && new Date(startsAt) > now) return "planned";
  entry.enforcedAt ??= now;
  const end = endOf(entry);
  return end !== undefined && end <= now ? "ended" : "active";
}

function endOf({ wish, enforcedAt }: Entry): Date | undefined {
  if (wish.expiresAt !== undefined) return new Date(wish.expiresAt);
  if (wish.durationSeconds === undefined || enforcedAt === null) return undefined;
  return new Date(enforcedAt.getTime() + wish.durationSeconds * 1000);
}

/** `Sidecar.invoke` without a sidecar: plain HTTP to one app. */
export function httpInvoke(url: string): Invoke {
  return async (_appId, { method, path, body, traceparent }, signal) => {
    const response = await fetch(`${url}/${path}`, {
      method,
      signal,
      headers: { "content-type": "application/json", ...(traceparent === undefined ? {} : { traceparent }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: parsed(text) };
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
