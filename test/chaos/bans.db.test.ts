/**
 * A ban reaches everything: two API processes on one database, decisions through the first, and somebody who uses both
 * of them in every way there is. Short here; SOAK=1 bans a hundred and freezes for 10 s.
 */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { delay } from "#src/kernel/clock";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import type { HttpClient } from "../kit/http-client.ts";
import { startPostgresProxy, type PostgresProxy } from "../kit/postgres-proxy.ts";
import { startRedis } from "../kit/redis.ts";
import { describeWith } from "../kit/requires.ts";
import { logIn, makeStaff, onDatabase, registerPerson, startApiProcess, type ApiProcess, type SignedIn } from "../kit/service.ts";
import type { SocketClient } from "../kit/socket-client.ts";
import { until } from "../kit/until.ts";

const SOAK = process.env["SOAK"] === "1";
const BANS = SOAK ? 100 : 20;
/** Bans of a variation with a fault in it. */
const FEW_BANS = SOAK ? 25 : 5;
/** People who are at it at the same time. */
const AT_ONCE = 3;
const FROZEN_MS = SOAK ? 10_000 : 3_000;
/** Between two requests of one kind through one process. */
const PACE_MS = 50;
/** Nothing may be served this long after the decision. */
const LATEST_MS = 1_000;

/** Others who are connected to each process, so that going round all sockets takes its usual time. */
const BYSTANDERS = 60;

/** Two processes; the second reads its feed through the proxy. */
interface Pair {
  readonly database: TestDatabase;
  readonly proxy: PostgresProxy;
  readonly first: ApiProcess;
  readonly second: ApiProcess;
  readonly moderator: SignedIn;
}

async function startPair(stack: AsyncDisposableStack, env: Readonly<Record<string, string>> = {}): Promise<Pair> {
  const database = stack.use(await cloneDatabase());
  const proxy = stack.use(await startPostgresProxy(database.url));
  const [first, second] = await Promise.all([
    startApiProcess({ database, env }).then((api) => stack.use(api)),
    startApiProcess({ database, env: { ...env, DATABASE_DIRECT_URL: proxy.urlOf(database.url) } }).then((api) => stack.use(api)),
  ]);
  const moderator = await registerPerson(first.http, "mona");
  await makeStaff(database, moderator, "moderator");
  const bystander = await registerPerson(first.http, "crowd");
  for (const api of [first, second]) {
    for (const socket of await Promise.all(Array.from({ length: BYSTANDERS }, () => api.socket(bystander.accessToken)))) stack.use(socket);
  }
  return { database, proxy, first, second, moderator: await logIn(first.http, "mona") };
}

type Way = "rest" | "graphql" | "refresh" | "socket";

/** One answer to somebody: `ok`, or the code of the refusal. */
interface Seen {
  readonly way: Way;
  readonly at: "first" | "second";
  readonly outcome: string;
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly doneMs: number;
}

type Sockets = Readonly<Record<"first" | "second", SocketClient>>;

/** Somebody who asks for everything through both processes until stopped. */
class Busybody implements AsyncDisposable {
  readonly person: SignedIn;
  readonly sockets: Sockets;
  /** Connected, and silent. */
  readonly quiet: Sockets;
  readonly seen: Seen[] = [];
  readonly #stop = new AbortController();
  #loops: readonly Promise<void>[] = [];

  private constructor(person: SignedIn, sockets: Sockets, quiet: Sockets) {
    this.person = person;
    this.sockets = sockets;
    this.quiet = quiet;
  }

  static async arrive(pair: Pair, username: string): Promise<Busybody> {
    const person = await registerPerson(pair.first.http, username);
    const connect = async (): Promise<Sockets> => ({
      first: await pair.first.socket(person.accessToken),
      second: await pair.second.socket(person.accessToken),
    });
    const busybody = new Busybody(person, await connect(), await connect());
    busybody.#loops = (
      await Promise.all(
        (["first", "second"] as const).map(async (at) => {
          const { http } = pair[at];
          const { refreshToken } = await logIn(http, username);
          return [busybody.#rest(at, http), busybody.#graphql(at, http), busybody.#refresh(at, http, refreshToken), busybody.#socket(at)];
        }),
      )
    ).flat();
    await until(() =>
      WAYS.every(({ way, at }) => busybody.seen.some((seen) => seen.way === way && seen.at === at && seen.outcome === "ok")),
    );
    return busybody;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    for (const socket of [...Object.values(this.sockets), ...Object.values(this.quiet)]) socket[Symbol.dispose]();
    await Promise.all(this.#loops);
  }

  #rest(at: Seen["at"], http: HttpClient): Promise<void> {
    return this.#again(at, "rest", async () => {
      const { status, body, headers } = await http.get("/api/users/me", this.person.accessToken);
      return { status, outcome: status === 200 ? "ok" : body.code, retryAfter: headers["retry-after"] };
    });
  }

  #graphql(at: Seen["at"], http: HttpClient): Promise<void> {
    return this.#again(at, "graphql", async () => {
      const { status, body, headers } = await http.graphql("{ me { id } }", this.person.accessToken);
      return { status, outcome: body.errors?.[0]?.extensions.code ?? "ok", retryAfter: headers["retry-after"] };
    });
  }

  #refresh(at: Seen["at"], http: HttpClient, first: string): Promise<void> {
    let refreshToken = first;
    return this.#again(at, "refresh", async () => {
      const { status, body, headers } = await http.post<{ refreshToken: string; code: string }>("/api/auth/refresh", { refreshToken });
      if (status === 200) ({ refreshToken } = body);
      return { status, outcome: status === 200 ? "ok" : body.code, retryAfter: headers["retry-after"] };
    });
  }

  #socket(at: Seen["at"]): Promise<void> {
    const socket = this.sockets[at];
    return this.#again(at, "socket", async () => {
      if (!socket.socket.connected) return { status: 0, outcome: "closed", retryAfter: undefined };
      const ack = await socket.ask("token:refresh", { accessToken: this.person.accessToken }).catch(() => undefined);
      if (ack === undefined) return { status: 0, outcome: "unanswered", retryAfter: undefined };
      return ack.ok
        ? { status: 200, outcome: "ok", retryAfter: undefined }
        : { status: ack.error.status, outcome: ack.error.code, retryAfter: undefined };
    });
  }

  async #again(at: Seen["at"], way: Way, ask: () => Promise<Pick<Seen, "status" | "outcome" | "retryAfter">>): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      this.seen.push({ way, at, ...(await ask()), doneMs: performance.now() });
      await delay(PACE_MS, signal).catch(() => {});
    }
  }
}

const WAYS = (["rest", "graphql", "refresh", "socket"] as const).flatMap((way) =>
  (["first", "second"] as const).map((at) => ({ way, at })),
);

/** How a ban went, in ms from the answer that it was decided; what came before that counts as 0. */
interface Banned {
  readonly closedMs: Record<"first" | "second", number>;
  readonly lastServedMs: number;
  readonly seen: readonly Seen[];
}

interface Fault {
  readonly before?: () => void;
  readonly closesWithinMs?: number;
}

/** Where the feed has to connect anew: it gives a silent connection up after 0.75 s. Sockets that still are open then are not served. */
const SLOWER: Fault = { closesWithinMs: 3_000 };

/** Bans somebody who is at it, and looks on until a little after everything must be over. */
async function ban(pair: Pair, username: string, fault: Fault = {}): Promise<Banned> {
  await using busybody = await Busybody.arrive(pair, username);
  fault.before?.();
  const path = `/api/moderation/users/${busybody.person.id}/restrictions`;
  const decision = await pair.first.http.post(path, { kind: "ban", reason: "spam" }, pair.moderator.accessToken);
  expect(decision.status).toBe(201);
  const withinMs = fault.closesWithinMs ?? 2 * LATEST_MS;
  const [first, second] = await Promise.all([busybody.quiet.first.closes(withinMs), busybody.quiet.second.closes(withinMs)]);
  // Every way was tried, and answered, after the last moment.
  const lateMs = decision.doneMs + LATEST_MS;
  await until(() => WAYS.every(({ way, at }) => busybody.seen.some((seen) => seen.way === way && seen.at === at && seen.doneMs > lateMs)));
  const served = busybody.seen.filter(({ outcome }) => outcome === "ok");
  return {
    closedMs: { first: Math.max(0, first.atMs - decision.doneMs), second: Math.max(0, second.atMs - decision.doneMs) },
    lastServedMs: Math.max(...served.map(({ doneMs }) => doneMs)) - decision.doneMs,
    seen: busybody.seen,
  };
}

/** Several people are at it while they are banned one after another. */
async function banMany(pair: Pair, prefix: string, count: number, fault: Fault = {}): Promise<Banned[]> {
  const names = Array.from({ length: count }, (_, index) => `${prefix}${index}`);
  const banned: Banned[] = [];
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let name = names.pop(); name !== undefined; name = names.pop()) banned.push(await ban(pair, name, fault));
    }),
  );
  return banned;
}

/** Ends the feeds' connections several times a second. */
function cutFeeds(database: TestDatabase): AsyncDisposable & { readonly cuts: () => number } {
  const stop = new AbortController();
  let cuts = 0;
  const text =
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'user-service feed' and datname = current_database()";
  const cutting = (async () => {
    while (!stop.signal.aborted) {
      cuts += (await onDatabase(database.adminUrl, text)).length;
      await delay(300, stop.signal).catch(() => {});
    }
  })();
  return {
    cuts: () => cuts,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await cutting;
    },
  };
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

function report(name: string, banned: readonly Banned[]): void {
  const closed = banned.flatMap(({ closedMs }) => [closedMs.first, closedMs.second]);
  const figures = [0.5, 0.99, 1].map((share) => percentile(closed, share).toFixed(0)).join("/");
  const last = Math.max(...banned.map(({ lastServedMs }) => lastServedMs)).toFixed(0);
  const answers = banned.reduce((sum, { seen }) => sum + seen.length, 0);
  process.stdout.write(
    `${name}: ${banned.length} bans, ${answers} answers; sockets closed after ${figures} ms (p50/p99/most), last served ${last} ms after the decision\n`,
  );
}

/** Nobody was served late, and nobody was refused with anything but a word that fits. */
function expectEnforced(banned: readonly Banned[]): void {
  for (const { lastServedMs, seen } of banned) {
    expect(lastServedMs).toBeLessThan(LATEST_MS);
    expect(seen.filter(({ outcome }) => !["ok", "account.restricted", "closed", "unanswered", "service.busy"].includes(outcome))).toEqual(
      [],
    );
    expect(seen.filter(({ status, retryAfter, way }) => status === 503 && retryAfter === undefined && way !== "socket")).toEqual([]);
  }
}

function expectClosedQuickly(banned: readonly Banned[]): void {
  const closed = banned.flatMap(({ closedMs }) => [closedMs.first, closedMs.second]);
  expect(closed).toHaveLength(banned.length * 2);
  // The long run has the machine for itself.
  expect(percentile(closed, SOAK ? 0.99 : 0.5)).toBeLessThan(250);
  expect(Math.max(...closed)).toBeLessThan(LATEST_MS);
}

describe("a ban, two processes, no Redis", () => {
  const stack = new AsyncDisposableStack();
  let pair: Pair;
  beforeAll(async () => {
    pair = await startPair(stack);
  });
  afterAll(() => stack.disposeAsync());

  it("closes sockets on both and ends everything at once", async () => {
    const banned = await banMany(pair, "plain", BANS);
    report("plain", banned);
    expectEnforced(banned);
    expectClosedQuickly(banned);
  }, 120_000);

  it("does not need NOTIFY", async () => {
    pair.proxy.losesNotifications = true;
    const banned = await banMany(pair, "deaf", FEW_BANS);
    pair.proxy.losesNotifications = false;
    report("without NOTIFY", banned);
    expect(pair.proxy.notificationsLost()).toBeGreaterThanOrEqual(FEW_BANS);
    expectEnforced(banned);
    expectClosedQuickly(banned);
  }, 120_000);

  it("holds while the feed's connections are cut again and again", async () => {
    await using cutting = cutFeeds(pair.database);
    const banned = await banMany(pair, "cut", FEW_BANS, SLOWER);
    report(`feed cut ${cutting.cuts()} times`, banned);
    expect(cutting.cuts()).toBeGreaterThan(FEW_BANS);
    expectEnforced(banned);
  }, 120_000);

  it("holds while the feed's connection is half open", async () => {
    const banned: Banned[] = [];
    for (let index = 0; index < (SOAK ? 10 : 2); index += 1) {
      banned.push(await ban(pair, `half${index}`, { ...SLOWER, before: () => pair.proxy.halfOpen() }));
    }
    report("feed half open", banned);
    expectEnforced(banned);
  }, 120_000);

  it("serves nothing while the feed cannot be had at all, and closes the socket when it can", async () => {
    await using busybody = await Busybody.arrive(pair, "unheard");
    pair.proxy.goDeaf();
    const path = `/api/moderation/users/${busybody.person.id}/restrictions`;
    const decision = await pair.first.http.post(path, { kind: "ban", reason: "spam" }, pair.moderator.accessToken);
    await delay(FROZEN_MS);
    const late = busybody.seen.filter(({ doneMs, at }) => at === "second" && doneMs > decision.doneMs + LATEST_MS);
    expect(late.map(({ way }) => way)).toEqual(expect.arrayContaining(["rest", "graphql", "refresh"]));
    expect(new Set(late.map(({ outcome }) => outcome))).toEqual(new Set(["service.busy", "account.restricted"]));
    expect(new Set(late.filter(({ way }) => way === "rest").map(({ status, retryAfter }) => `${status} ${retryAfter}`))).toEqual(
      new Set(["503 1"]),
    );

    pair.proxy.heal();
    const healedMs = performance.now();
    expect((await busybody.quiet.second.closes(2_000)).atMs - healedMs).toBeLessThan(2_000);
    const back = await until(async () => {
      const answer = await pair.second.http.get("/api/users/me", busybody.person.accessToken);
      return answer.status === 403 ? answer : undefined;
    });
    expect(back.body.code).toBe("account.restricted");
    expect((await pair.second.http.get("/api/users/me", pair.moderator.accessToken)).status).toBe(200);
  }, 120_000);

  it("is obeyed by a process that was frozen, from the moment it wakes", async () => {
    const [victim, bystander] = [await registerPerson(pair.first.http, "frozen"), await registerPerson(pair.first.http, "bystander")];
    using socket = await pair.second.socket(victim.accessToken);
    const { http } = pair.second;
    // Connections that waited too long for their request to be read are cut when it wakes; the others are answered.
    const outcome = (way: string, asked: Promise<string>): Promise<string> =>
      asked.then((word) => `${way} ${word}`).catch(() => `${way} unanswered`);
    const ask = (): Promise<string>[] => [
      outcome(
        "rest",
        http.get("/api/users/me", victim.accessToken).then(({ status }) => String(status)),
      ),
      outcome(
        "graphql",
        http.graphql("{ me { id } }", victim.accessToken).then(({ body }) => body.errors?.[0]?.extensions.code ?? "ok"),
      ),
      outcome(
        "refresh",
        http.post("/api/auth/refresh", { refreshToken: victim.refreshToken }).then(({ status }) => String(status)),
      ),
      outcome(
        "socket",
        socket.ask("token:refresh", { accessToken: victim.accessToken }).then((ack) => (ack.ok ? "ok" : ack.error.code)),
      ),
    ];
    // Both are known to the second process, by every way.
    expect((await http.get("/api/users/me", bystander.accessToken)).status).toBe(200);
    expect(await ask()[0]).toBe("rest 200");

    pair.second.freeze();
    const asked = Array.from({ length: 10 }, ask).flat();
    const decision = await pair.first.http.post(
      `/api/moderation/users/${victim.id}/restrictions`,
      { kind: "ban", reason: "spam" },
      pair.moderator.accessToken,
    );
    expect(decision.status).toBe(201);
    await delay(FROZEN_MS);
    asked.push(...Array.from({ length: 10 }, ask).flat());
    pair.second.wake();
    const wokenMs = performance.now();
    asked.push(...Array.from({ length: 10 }, ask).flat());

    const outcomes = new Set(await Promise.all(asked));
    for (const seen of outcomes) {
      expect(seen).toMatch(
        /^(rest|refresh) (401|403|503)$|^(graphql|socket) (account\.restricted|session\.revoked|service\.busy)$| unanswered$/,
      );
    }
    expect([...outcomes].some((seen) => /^rest (403|503)$/.test(seen))).toBe(true);
    await socket.closes(2_000);
    const back = await until(async () =>
      (await http.get("/api/users/me", bystander.accessToken)).status === 200 ? performance.now() : undefined,
    );
    expect(back - wokenMs).toBeLessThan(2_000);
  }, 120_000);

  it("left no error in either log", () => {
    expect([...pair.first.errors(), ...pair.second.errors()]).toEqual([]);
  });
});

describeWith("redis-server", "a ban, two processes, with Redis", (path) => {
  const stack = new AsyncDisposableStack();
  let pair: Pair;
  beforeAll(async () => {
    const redis = stack.use(await startRedis(path));
    pair = await startPair(stack, { REDIS_URL: redis.url });
  });
  afterAll(() => stack.disposeAsync());

  it("closes sockets on both and ends everything at once", async () => {
    const banned = await banMany(pair, "redis", BANS);
    report("with Redis", banned);
    expectEnforced(banned);
    expectClosedQuickly(banned);
    expect([...pair.first.errors(), ...pair.second.errors()]).toEqual([]);
  }, 120_000);
});
