import { once } from "node:events";
import { createServer } from "node:http";
import { createServer as createTcpServer, type AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { io, type Socket } from "socket.io-client";
import { closeDb, openDb, type Db } from "#src/db/pool";
import { affected, rows, sql } from "#src/db/sql";
import { inTx, type Tx } from "#src/db/tx";
import { setStatus } from "#src/features/accounts/public";
import type { Actor, Gate, Role } from "#src/kernel/actor";
import { systemClock } from "#src/kernel/clock";
import { newUuid, type SessionId } from "#src/kernel/ids";
import { silentLog } from "#src/kernel/log";
import { createRealtime, type Realtime } from "#src/realtime/realtime";
import { cloneDatabase, type TestDatabase } from "../../../test/kit/database.ts";
import { people, type Person } from "../../../test/kit/people.ts";
import { startRedis } from "../../../test/kit/redis.ts";
import { describeWith } from "../../../test/kit/requires.ts";
import { until } from "../../../test/kit/until.ts";
import * as statements from "./presence.sql.ts";
import { block } from "#src/features/graph/block";
import { follow, unfollow } from "#src/features/graph/follow";
import { changePrivacy } from "#src/features/profiles/privacy";
import { watch, watchRoom } from "./watch.ts";
import { actorOf } from "../../../test/kit/social.ts";
import { presenceConnections, presenceSockets, watchersAmong } from "./presence.sockets.ts";
import { Presence, type PresenceTimings } from "./presence.ts";
import { socketStats } from "./socket-stats.ts";
import type { StatusView } from "./presence.views.ts";

const TIMINGS: PresenceTimings = { heartbeatMs: 50, leaseMs: 2_000, graceMs: 300, writeMs: 10, readMs: 20, lastSeenMs: 50 };

let closers: (() => Promise<unknown> | void)[] = [];
let database: TestDatabase;
let db: Db;
let everybody: Record<"ann" | "bob" | "cleo" | "mod", Person>;

beforeEach(async () => {
  closers = [];
  database = await cloneDatabase();
  db = openDb({ url: database.url, maxConnections: 5, applicationName: "test", log: silentLog });
  everybody = await people(db, { ann: {}, bob: {}, cleo: {}, mod: { roles: ["user", "moderator"] } });
});
afterEach(async () => {
  for (const close of closers.reverse()) await close();
  await closeDb(db);
  await database[Symbol.asyncDispose]();
});

interface Node {
  readonly realtime: Realtime;
  readonly presence: Presence;
  readonly port: number;
  readonly stop: () => Promise<void>;
}

async function startNode(redisUrl?: string, timings = TIMINGS): Promise<Node> {
  const own = openDb({ url: database.url, maxConnections: 3, applicationName: "test node", log: silentLog });
  const presence = new Presence({ db: own, clock: systemClock, log: silentLog, timings });
  const gate: Gate = (token) => {
    const name = (token ?? "").split("/")[0] as keyof typeof everybody;
    const role: Role = name === "mod" ? "moderator" : "user";
    const actor: Actor = {
      userId: everybody[name].id,
      sessionId: newUuid(systemClock) as SessionId,
      role,
      restricted: false,
      limited: new Set(),
      tokenExpiresAt: new Date("2099-01-01"),
    };
    return Promise.resolve(actor);
  };
  const server = createServer();
  const realtime = createRealtime({
    server,
    events: presenceSockets,
    connections: [presenceConnections],
    deps: { db: own, presence },
    gate,
    throttle: () => {},
    clientOf: () => ({ address: "127.0.0.1", addressKey: "127.0.0.1", userAgent: "", locale: "en" }),
    allowsOrigin: () => true,
    redisUrl,
    clock: systemClock,
    log: silentLog,
    production: false,
  });
  presence.start(watchersAmong(realtime.pushes));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopping ??= end());
  const end = async (): Promise<void> => {
    await realtime.close();
    await presence.stop();
    await closeDb(own);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  closers.push(stop);
  return { realtime, presence, port: (server.address() as AddressInfo).port, stop };
}

interface Client {
  readonly socket: Socket;
  /** What `user:status` told, in order, and as clients are to take it: of each user only what is newer. */
  readonly told: StatusView[];
  readonly ask: (
    event: string,
    payload?: unknown,
  ) => Promise<{ ok: boolean; data?: { statuses: StatusView[]; watching: number }; error?: { code: string } }>;
  readonly watch: (...who: Person[]) => Promise<StatusView[]>;
}

async function connect(node: Node, token: string): Promise<Client> {
  const socket = io(`http://127.0.0.1:${node.port}`, { auth: { token }, transports: ["websocket"], reconnection: false, forceNew: true });
  closers.push(() => void socket.disconnect());
  const told: StatusView[] = [];
  socket.on("user:status", (status: StatusView) => {
    const known = told.findLast(({ userId }) => userId === status.userId);
    if (status.seq > (known?.seq ?? 0)) told.push(status);
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("connect_error", reject);
  });
  const ask: Client["ask"] = async (event, payload = {}) =>
    (await socket.timeout(5_000).emitWithAck(event, payload)) as Awaited<ReturnType<Client["ask"]>>;
  const watch: Client["watch"] = async (...who) => (await ask("presence:watch", { userIds: who.map(({ id }) => id) })).data?.statuses ?? [];
  return { socket, told, ask, watch };
}

/** Waits until the last thing told of this person is so. */
function isTold(client: Client, who: Person, status: string): Promise<StatusView> {
  const last = (): StatusView | undefined => client.told.findLast(({ userId }) => userId === who.id);
  return until(() => (last()?.status === status ? last() : undefined), { what: `${who.username} ${status}` });
}

async function stored(who: Person): Promise<string | undefined> {
  const [found] = await rows<{ status: string }>(db, sql`select status from presence_states where user_id = ${who.id}::uuid`);
  return found?.status;
}

function ban(who: Person): Promise<void> {
  return inTx(db, async (tx) => {
    await affected(
      tx,
      sql`insert into restrictions (id, user_id, kind, reason, reason_policy) values (${newUuid(systemClock)}::uuid, ${who.id}::uuid, 'ban', 'spam', 'v1')`,
    );
    await setStatus(tx, who.id);
  });
}

const suite = (redisUrl: () => string | undefined): void => {
  it("tells watchers on this and on another process who comes, is away and goes, with growing seq", async () => {
    const [one, other] = [await startNode(redisUrl()), await startNode(redisUrl())];
    const { bob } = everybody;
    const watchers = [await connect(one, "ann"), await connect(other, "ann")];
    for (const watcher of watchers)
      expect(await watcher.watch(bob)).toEqual([{ userId: bob.id, status: "offline", lastSeenAt: null, seq: 0 }]);
    const device = await connect(one, "bob");
    await Promise.all(watchers.map((watcher) => isTold(watcher, bob, "online")));
    await device.ask("presence:set", { status: "away" });
    await Promise.all(watchers.map((watcher) => isTold(watcher, bob, "away")));
    const leftAt = systemClock.now().getTime();
    device.socket.disconnect();
    const gone = await Promise.all(watchers.map((watcher) => isTold(watcher, bob, "offline")));
    for (const { lastSeenAt } of gone) expect(Math.abs(new Date(lastSeenAt ?? 0).getTime() - leftAt)).toBeLessThan(2_000);
    for (const { told } of watchers) {
      expect(told.map(({ status }) => status)).toEqual(["online", "away", "offline"]);
      expect(told.map(({ seq }) => seq)).toEqual(told.map(({ seq }) => seq).toSorted((a, b) => a - b));
      expect(new Set(told.map(({ seq }) => seq)).size).toBe(3);
    }
  });

  it("answers a watch with how everybody is now, wherever they are connected", async () => {
    const [one, other] = [await startNode(redisUrl()), await startNode(redisUrl())];
    const { ann, bob, cleo } = everybody;
    await connect(one, "bob");
    await (await connect(other, "cleo")).ask("presence:set", { status: "away" });
    await until(async () => (await stored(bob)) === "online" && (await stored(cleo)) === "away");
    const watcher = await connect(one, "ann");
    await until(async () => (await stored(ann)) === "online");
    expect((await watcher.watch(ann, bob, cleo)).map(({ status }) => status)).toEqual(["online", "online", "away"]);
    expect(await socketStats({ db, realtime: one.realtime })).toMatchObject({
      process: { connections: 2 },
      all: { processes: 2, connections: 3, users: 3 },
    });
  });

  it("counts somebody online while one of their devices is, on whichever process", async () => {
    const [one, other] = [await startNode(redisUrl()), await startNode(redisUrl())];
    const { bob } = everybody;
    const watcher = await connect(one, "ann");
    await watcher.watch(bob);
    const [phone, laptop] = [await connect(one, "bob/phone"), await connect(other, "bob/laptop")];
    await isTold(watcher, bob, "online");
    await until(async () => (await rows(db, sql`select id from connections where user_id = ${bob.id}::uuid`)).length === 2);
    phone.socket.disconnect();
    await until(async () => (await rows(db, sql`select id from connections where user_id = ${bob.id}::uuid`)).length === 1);
    expect(watcher.told.map(({ status }) => status)).toEqual(["online"]);
    await laptop.ask("presence:set", { status: "away" });
    await isTold(watcher, bob, "away");
    await connect(one, "bob/tablet");
    await isTold(watcher, bob, "online");
  });

  it("tells nothing of somebody who is back within the grace, on another process too", async () => {
    const [one, other] = [await startNode(redisUrl()), await startNode(redisUrl())];
    const { bob } = everybody;
    const watcher = await connect(one, "ann");
    await watcher.watch(bob);
    const before = await connect(one, "bob");
    await isTold(watcher, bob, "online");
    before.socket.disconnect();
    await connect(other, "bob");
    // The first connection's row is gone only after its grace.
    await until(async () => (await rows(db, sql`select id from connections where user_id = ${bob.id}::uuid`)).length === 2);
    await until(async () => (await rows(db, sql`select id from connections where user_id = ${bob.id}::uuid`)).length === 1);
    expect(watcher.told.map(({ status }) => status)).toEqual(["online"]);
  });
};

describe("presence", () => suite(() => undefined));

describeWith("redis-server", "presence with Redis", (path) => {
  let url: string | undefined;
  beforeEach(async () => {
    const redis = await startRedis(path);
    url = redis.url;
    closers.push(async () => await redis[Symbol.asyncDispose]());
  });
  suite(() => url);
});

describe("who may see it", () => {
  it("tells at once, without grace, when a session was ended", async () => {
    // Longer than anything is waited for here.
    const node = await startNode(undefined, { ...TIMINGS, graceMs: 600_000 });
    const { bob } = everybody;
    const watcher = await connect(node, "ann");
    await watcher.watch(bob);
    await connect(node, "bob");
    const { seq } = await isTold(watcher, bob, "online");
    await node.realtime.cut({ subject: bob.id, sessionId: null, reason: "logged_out" });
    expect((await isTold(watcher, bob, "offline")).seq).toBeGreaterThan(seq);
  });

  it("shows banned people as offline to everybody, and does not tell of them even while they look connected", async () => {
    const node = await startNode();
    const { bob, cleo } = everybody;
    const [watcher, moderator] = [await connect(node, "ann"), await connect(node, "mod")];
    await connect(node, "bob");
    await until(async () => (await stored(bob)) === "online");
    expect((await watcher.watch(bob))[0]?.status).toBe("online");
    await ban(bob);
    for (const client of [watcher, moderator]) expect((await client.watch(bob))[0]).toMatchObject({ status: "offline", lastSeenAt: null });
    const before = watcher.told.length;
    const again = await connect(node, "bob/again");
    await again.ask("presence:set", { status: "away" });
    await watcher.watch(cleo);
    await connect(node, "cleo");
    await isTold(watcher, cleo, "online");
    expect(watcher.told.slice(before).filter(({ userId, status }) => userId === bob.id && status !== "offline")).toEqual([]);
  });

  it("lets people who may not be seen look like people who are not there", async () => {
    const node = await startNode();
    const { ann, bob } = everybody;
    await connect(node, "bob");
    await until(async () => (await stored(bob)) === "online");
    await inTx(db, (tx) => affected(tx, sql`insert into blocks (blocker_id, blocked_id) values (${bob.id}::uuid, ${ann.id}::uuid)`));
    const watcher = await connect(node, "ann");
    const nobody = { ...bob, id: newUuid(systemClock) as Person["id"] };
    const [blocked, absent] = await watcher.watch(bob, nobody);
    expect({ ...blocked, userId: "" }).toEqual({ ...absent, userId: "" });
    expect((await watcher.ask("presence:unwatch", { userIds: [nobody.id] })).data).toEqual({ watching: 0 });
  });

  it("ends watching with a block, on every process, before anything of after it is told, and both ways", async () => {
    const [one, other] = [await startNode(), await startNode()];
    const { ann, bob, cleo } = everybody;
    const theirs = await connect(one, "bob");
    await connect(one, "ann");
    const watchers = [await connect(one, "ann"), await connect(other, "ann")];
    await until(async () => (await stored(bob)) === "online" && (await stored(ann)) === "online");
    for (const watcher of watchers) expect((await watcher.watch(bob, cleo))[0]?.status).toBe("online");
    const back = await connect(other, "bob");
    expect((await back.watch(ann))[0]?.status).toBe("online");

    await block({ db }, { actorId: bob.id, otherId: ann.id });
    // The first that they are told of after it, if anything.
    for (const client of [theirs, back]) await client.ask("presence:set", { status: "away" });
    await until(async () => (await stored(bob)) === "away");
    for (const watcher of watchers) await watcher.ask("presence:set", { status: "away" });
    await connect(one, "cleo");

    for (const watcher of watchers) {
      await isTold(watcher, cleo, "online");
      expect(watcher.told.filter(({ userId, status }) => userId === bob.id && status !== "online")).toEqual([]);
    }
    expect(back.told.filter(({ status }) => status !== "online")).toEqual([]);
  });

  it("lets nobody in whom a block forbids that was made while they were joining", async () => {
    const { ann, bob } = everybody;
    const rooms = new Set<string>();
    const join = async (room: string): Promise<void> => {
      rooms.add(room);
      if (rooms.size === 1) await block({ db }, { actorId: bob.id, otherId: ann.id });
    };
    const leave = async (room: string): Promise<void> => void rooms.delete(room);

    const told = await watch({ db }, { viewer: actorOf(ann), userIds: [bob.id], watched: [], join, leave });

    expect([told, [...rooms]]).toEqual([[{ userId: bob.id, status: "offline", lastSeenAt: null, seq: 0 }], []]);
  });

  it("ends watching for those whom settings, or the end of a follow, take it from", async () => {
    const [one, other] = [await startNode(), await startNode()];
    const { ann, bob } = everybody;
    await follow({ db, config: { rateLimits: true } }, { followerId: ann.id, followeeId: bob.id });
    const theirs = await connect(one, "bob");
    const [follower, stranger, moderator] = [await connect(other, "ann"), await connect(other, "cleo"), await connect(one, "mod")];
    await until(async () => (await stored(bob)) === "online");
    for (const watcher of [follower, stranger, moderator]) expect((await watcher.watch(bob))[0]?.status).toBe("online");
    const statusesOf = (client: Client): string[] => client.told.map(({ status }) => status).filter((status) => status !== "online");

    await changePrivacy({ db }, { actor: { userId: bob.id }, change: { lastSeen: "followers" } });
    await theirs.ask("presence:set", { status: "away" });
    await isTold(follower, bob, "away");
    expect((await stranger.watch(bob))[0]).toEqual({ userId: bob.id, status: "offline", lastSeenAt: null, seq: 0 });
    await unfollow({ db }, { followerId: ann.id, followeeId: bob.id });
    await theirs.ask("presence:set", { status: "online" });
    await until(async () => (await stored(bob)) === "online");
    // Each process looks at what changed a moment later: after the next change ann would be let stay.
    const watching = (): string[] => other.realtime.pushes.connectionsHere(watchRoom(bob.id)).map(({ actor }) => actor.userId);
    await until(() => !watching().includes(ann.id), { what: "ann to watch no more" });
    await changePrivacy({ db }, { actor: { userId: bob.id }, change: { lastSeen: "everyone" } });
    expect((await stranger.watch(bob))[0]?.status).toBe("online");
    await theirs.ask("presence:set", { status: "away" });
    await isTold(stranger, bob, "away");

    expect([statusesOf(follower), statusesOf(stranger), statusesOf(moderator)]).toEqual([["away"], ["away"], []]);
  });

  it("takes at most 500 ids at once and 2,000 in all, whatever their case, and unwatches", async () => {
    const node = await startNode();
    const { bob } = everybody;
    const watcher = await connect(node, "ann");
    const ids = (count: number): string[] => Array.from({ length: count }, () => newUuid(systemClock));
    expect((await watcher.ask("presence:watch", { userIds: ids(501) })).error?.code).toBe("input.invalid");
    expect((await watcher.ask("presence:watch", { userIds: ["x"] })).error?.code).toBe("input.invalid");
    expect((await watcher.ask("presence:watch", { userIds: [bob.id.toUpperCase(), bob.id] })).data?.statuses).toHaveLength(1);
    await inTx(db, (tx) =>
      affected(
        tx,
        sql`insert into users (id, username, email, display_name) select gen_random_uuid(), 'many' || n, 'many' || n || '@example.com', 'many' from generate_series(1, 2000) n`,
      ),
    );
    const many = (await rows<{ id: string }>(db, sql`select id from users where username like 'many%'`)).map(({ id }) => id);
    for (let start = 0; start < 1_500; start += 500)
      expect((await watcher.ask("presence:watch", { userIds: many.slice(start, start + 500) })).ok).toBe(true);
    expect((await watcher.ask("presence:watch", { userIds: many.slice(1_500, 2_000) })).error?.code).toBe("presence.too_many_watched");
    expect((await watcher.ask("presence:unwatch", { userIds: [bob.id.toUpperCase()] })).data).toEqual({ watching: 1_500 });
    expect((await watcher.ask("presence:watch", { userIds: many.slice(1_500, 2_000) })).ok).toBe(true);
    await connect(node, "bob");
    await until(async () => (await stored(bob)) === "online");
    expect(watcher.told).toEqual([]);
  });
});

describe("what is kept", () => {
  it("writes when somebody was seen last, and lets it never go back", async () => {
    const node = await startNode();
    const { bob } = everybody;
    const device = await connect(node, "bob");
    const seenAt = async (): Promise<Date | undefined> =>
      (await rows<{ seen_at: Date }>(db, sql`select seen_at from last_seen where user_id = ${bob.id}::uuid`))[0]?.seen_at;
    const first = await until(seenAt);
    expect(await device.ask("activity:ping")).toEqual({ ok: true, data: {} });
    const second = await until(async () => ((await seenAt()) ?? first) > first && seenAt());
    await inTx(db, (tx) => affected(tx, sql`update last_seen set seen_at = now() + interval '1 hour'`));
    device.socket.disconnect();
    await until(async () => (await stored(bob)) === "offline");
    expect((await seenAt())?.getTime()).toBeGreaterThan(second.getTime() + 60_000);
  });

  it("ends the connections of a process that stopped, after a grace and together", async () => {
    const [one, stopping] = [await startNode(), await startNode()];
    const { bob, cleo } = everybody;
    const watcher = await connect(one, "ann");
    await watcher.watch(bob, cleo);
    await connect(stopping, "bob");
    await connect(stopping, "cleo");
    await until(() => watcher.told.length === 2);
    await stopping.stop();
    await until(() => watcher.told.length === 4);
    expect(watcher.told.slice(2).map(({ status }) => status)).toEqual(["offline", "offline"]);
    expect(await rows(db, sql`select id from pods`)).toHaveLength(1);
    expect(await rows(db, sql`select id from connections`)).toHaveLength(1);
  });

  it("ends the connections of a process that died when its lease has run out, and not before", async () => {
    const node = await startNode();
    const { bob } = everybody;
    const watcher = await connect(node, "ann");
    const dead = newUuid(systemClock);
    await affected(db, sql`insert into pods (id, lease_until) values (${dead}::uuid, now() + interval '1 hour')`);
    await affected(
      db,
      sql`insert into connections (id, user_id, pod_id, status) values ('of-the-dead', ${bob.id}::uuid, ${dead}::uuid, 'online')`,
    );
    await affected(db, sql`insert into presence_states (user_id, status, seq) values (${bob.id}::uuid, 'online', 7)`);
    expect((await watcher.watch(bob))[0]).toMatchObject({ status: "online", seq: 7 });
    const renewals = (): Promise<{ lease_until: Date }[]> => rows(db, sql`select lease_until from pods where id <> ${dead}::uuid`);
    const [before] = await renewals();
    await until(async () => ((await renewals())[0]?.lease_until ?? 0) > (before?.lease_until ?? 0));
    expect(await stored(bob)).toBe("online");
    await affected(db, sql`update pods set lease_until = now() where id = ${dead}::uuid`);
    await isTold(watcher, bob, "offline");
  });

  it("writes everything again when the unlogged tables were emptied, and tells of those who are gone", async () => {
    const [one, dying] = [await startNode(), await startNode()];
    const { ann, bob, cleo } = everybody;
    const watcher = await connect(one, "ann");
    await watcher.watch(bob, cleo);
    await connect(dying, "bob");
    await connect(one, "cleo");
    await until(() => watcher.told.length === 2);
    const seqs = new Map(watcher.told.map(({ userId, seq }) => [userId, seq]));
    await dying.stop();
    await affected(db, sql`truncate pods, connections, presence_states`);
    await isTold(watcher, bob, "offline");
    await until(async () => (await stored(ann)) === "online" && (await stored(cleo)) === "online");
    const last = watcher.told.findLast(({ userId }) => userId === bob.id);
    expect(last?.seq).toBeGreaterThan(seqs.get(bob.id) ?? Number.POSITIVE_INFINITY);
    expect(watcher.told.findLast(({ userId }) => userId === cleo.id)?.status).toBe("online");
  });

  it("goes on when the database was away", async () => {
    const node = await startNode();
    const { bob } = everybody;
    const watcher = await connect(node, "ann");
    await watcher.watch(bob);
    await affected(db, sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'test node'`);
    await connect(node, "bob");
    await isTold(watcher, bob, "online");
  });

  it("says once for each of its loops that the database is away", async () => {
    let tries = 0;
    const nobody = createTcpServer((socket) => {
      tries += 1;
      socket.destroy();
    }).listen(0, "127.0.0.1");
    await once(nobody, "listening");
    const { port } = nobody.address() as AddressInfo;
    const own = openDb({ url: `postgres://nobody@127.0.0.1:${port}/x`, maxConnections: 2, applicationName: "test", log: silentLog });
    const said: string[] = [];
    const log = { ...silentLog, warn: (_: object, message: string) => void said.push(message) };
    const presence = new Presence({ db: own, clock: systemClock, log, timings: TIMINGS });
    presence.start({ isWatched: () => true, watched: () => [], connectionsIn: () => [], tell: () => {} });
    await until(() => tries >= 20);
    await presence.stop();
    await closeDb(own);
    nobody.close();
    // The heartbeat's and the reading one's; the others have nothing to do.
    expect(said.filter((message) => message.startsWith("presence cannot reach"))).toHaveLength(2);
  });

  it("does not miss a connection that another process is just writing", async () => {
    const { bob } = everybody;
    const [one, other] = [newUuid(systemClock), newUuid(systemClock)];
    const put = async (tx: Tx, podId: string, id: string): Promise<void> => {
      await statements.lockStates(tx, [bob.id]);
      await statements.putConnections(tx, podId, [{ id, userId: bob.id, status: "online" }]);
      await statements.settleStates(tx, [bob.id]);
    };
    await inTx(db, (tx) => put(tx, one, "phone"));
    const isWritten = Promise.withResolvers<void>();
    const mayCommit = Promise.withResolvers<void>();
    const connecting = inTx(db, async (tx) => {
      await put(tx, other, "laptop");
      isWritten.resolve();
      await mayCommit.promise;
    });
    await isWritten.promise;
    let isOver = false;
    const leaving = inTx(db, async (tx) => {
      await statements.lockStates(tx, [bob.id]);
      await statements.deleteConnections(tx, ["phone"]);
      await statements.settleStates(tx, [bob.id]);
    }).then(() => (isOver = true));
    await until(
      async () =>
        isOver ||
        (await rows(db, sql`select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)).length > 0,
    );
    mayCommit.resolve();
    await Promise.all([connecting, leaving]);
    expect(await stored(bob)).toBe("online");
  });

  it("comes to the same as the connections when two processes change them at once", async () => {
    const users = Object.values(everybody);
    const nodes = [1, 2].map(() => {
      const told = new Map<string, string>();
      const presence = new Presence({ db, clock: systemClock, log: silentLog, timings: TIMINGS });
      presence.start({
        isWatched: () => true,
        watched: () => users.map(({ id }) => id),
        connectionsIn: () => [],
        tell: ({ userId, status }) => void told.set(userId, status),
      });
      return { presence, told };
    });
    const open: { readonly presence: Presence; readonly id: string; readonly userId: string; status: "online" | "away" }[] = [];
    const connect = (id: string, { id: userId }: Person): void => {
      const { presence } = nodes[Math.floor(Math.random() * 2)] as (typeof nodes)[number];
      presence.connected(id, userId);
      const isAway = Math.random() < 0.3;
      if (isAway) presence.setStatus(id, userId, "away");
      open.push({ presence, id, userId, status: isAway ? "away" : "online" });
    };
    const disconnect = (): void => {
      const closing = open.pop();
      closing?.presence.disconnected(closing.id, closing.userId, "session_over");
    };
    // What the connections still open come to, by what was done here and not by what was written.
    const wanted = (): string[] =>
      users.map(({ id }) => {
        const statuses = open.filter(({ userId }) => userId === id).map(({ status }) => status);
        return statuses.includes("online") ? "online" : (statuses[0] ?? "offline");
      });
    const areTold = (): boolean =>
      nodes.every(({ told }) => wanted().every((status, nth) => told.get((users[nth] as Person).id) === status));
    // Of somebody who was never written as there, nothing is told: everybody is, once.
    for (const user of users) connect(`first ${user.id}`, user);
    await until(areTold, { what: "both processes to tell that everybody is there" });
    for (let step = 0; step < 600; step += 1) {
      if (Math.random() < 0.5) disconnect();
      else connect(`c${step}`, users[step % users.length] as Person);
      if (step % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    while (open.length > 2) disconnect();
    await until(async () => JSON.stringify(await Promise.all(users.map(stored))) === JSON.stringify(wanted()), {
      what: `the states ${wanted().join()}`,
    });
    await until(areTold, { what: `both processes to tell ${wanted().join()}` });
    expect(await rows(db, sql`select id from connections order by id`)).toEqual(
      open.map(({ id }) => ({ id })).toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    );
    await Promise.all(nodes.map(({ presence }) => presence.stop()));
  });

  it("reads what changed by an index, however many states there are", async () => {
    await affected(
      db,
      sql`insert into presence_states (user_id, status, seq) select gen_random_uuid(), 'offline', 0 from generate_series(1, 20000)`,
    );
    await affected(db, sql`analyze presence_states`);
    const [{ snapshot } = { snapshot: "" }] = await rows<{ snapshot: string }>(db, sql`select pg_current_snapshot()::text as snapshot`);
    const plan = await rows<{ "QUERY PLAN": string }>(
      db,
      sql`explain select s.user_id from (values (1)) one left join presence_states s
            on s.xact_id >= pg_snapshot_xmin(${snapshot}::pg_snapshot) and not pg_visible_in_snapshot(s.xact_id, ${snapshot}::pg_snapshot)`,
    );
    const text = plan.map((line) => line["QUERY PLAN"]).join("\n");
    expect(text).toContain("presence_states_xact");
    expect(text).not.toContain("Seq Scan");
  });
});
