/** Real changes over REST while something breaks, and what must be true of their events when it is whole again. Needs a mesh. */

import { expect } from "@jest/globals";
import { delay } from "#src/kernel/clock";
import type { HttpClient } from "../kit/http-client.ts";
import { deadLettersOf } from "../kit/dapr-resources.ts";
import type { Consumer, Mesh } from "../kit/mesh.ts";
import { logIn, makeStaff, onDatabase, registerPeople, registerPerson, type ApiProcess, type SignedIn } from "../kit/service.ts";
import type { SocketClient } from "../kit/socket-client.ts";
import { until } from "../kit/until.ts";

/** Whether faults go on at full length. */
export const SOAK = process.env["SOAK"] === "1";

const KINDS = ["change", "register", "login", "graphql", "ban", "socket"];
const SUBJECTS = 20;
const SOCKETS = 3;
/** Mean pause of a subject between two changes: together they make about 60 events a second. */
const PAUSE_MS = 300;
/** What nobody may wait for, whatever becomes of broker and sidecar. */
const ANSWERED_WITHIN_MS = 5_000;

/** A load that runs until it is stopped. Processes to send to may come and go. */
export interface Load extends AsyncDisposable {
  /** Where requests go to: one of these at a time, in turn. */
  readonly apis: ApiProcess[];
  /** Ends with the requests that run. @returns one line each for whatever was not answered as it should */
  readonly stop: () => Promise<readonly string[]>;
}

interface People {
  readonly subjects: readonly SignedIn[];
  readonly victims: readonly SignedIn[];
  readonly moderator: SignedIn;
}

let loads = 0;

/** Registers people and lets them change profiles, follow and unfollow; bans, sign-ins, GraphQL and sockets go on beside. */
export async function startLoad(mesh: Mesh, apis: ApiProcess[]): Promise<Load> {
  loads += 1;
  const first = apis[0] as ApiProcess;
  const people = await makePeople(mesh, first.http, `l${loads}`);
  const sockets = await Promise.all(people.subjects.slice(0, SOCKETS).map((one) => first.socket(one.accessToken)));
  const answered = new Set<string>();
  const failed: string[] = [];
  const ending = new AbortController();
  let turn = 0;
  const next = (): HttpClient => (apis[(turn += 1) % apis.length] as ApiProcess).http;

  const ask = async (kind: string, work: () => Promise<unknown>): Promise<void> => {
    const beganMs = performance.now();
    try {
      await unlessRefused(work);
      const tookMs = performance.now() - beganMs;
      answered.add(kind);
      if (tookMs > ANSWERED_WITHIN_MS) failed.push(`${kind}: answered after ${Math.round(tookMs)} ms`);
    } catch (error) {
      failed.push(`${kind}: ${String(error)} after ${Math.round(performance.now() - beganMs)} ms`);
    }
  };
  const repeat = async (everyMs: number, work: (count: number) => Promise<void>): Promise<void> => {
    for (let count = 0; !ending.signal.aborted; count += 1) {
      await work(count);
      await delay(everyMs * (0.5 + Math.random()), ending.signal).catch(() => {});
    }
  };
  const running = [
    ...people.subjects.map((one, index) => repeat(PAUSE_MS, (count) => ask("change", () => change(next(), one, { people, index, count })))),
    repeat(1_000, (count) => ask("register", () => registerPerson(next(), `n${loads}.${count}`))),
    repeat(400, (count) => ask("login", () => logIn(next(), pick(people.subjects, count).username))),
    repeat(300, (count) => ask("graphql", () => askGraphql(next(), pick(people.subjects, count)))),
    repeat(1_500, (count) => ask("ban", () => banAndLift(next(), people.moderator, pick(people.victims, count)))),
    ...sockets.map((socket) => repeat(500, () => ask("socket", () => ping(socket)))),
  ];
  const stop = async (): Promise<readonly string[]> => {
    if (!ending.signal.aborted) {
      ending.abort();
      await Promise.all(running);
      failed.push(...KINDS.filter((kind) => !answered.has(kind)).map((kind) => `${kind}: not once answered`));
      for (const socket of sockets) {
        if (socket.closed !== undefined) failed.push(`socket: closed, ${socket.closed.reason}`);
        socket[Symbol.dispose]();
      }
    }
    return failed;
  };
  return { apis, stop, [Symbol.asyncDispose]: async () => void (await stop()) };
}

/** Where nobody listens nothing was begun: a load balancer would have sent it elsewhere. */
async function unlessRefused(work: () => Promise<unknown>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await work();
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ECONNREFUSED" || tries === 20) throw error;
      await delay(20);
    }
  }
}

async function makePeople(mesh: Mesh, http: HttpClient, prefix: string): Promise<People> {
  const names = (kind: string, count: number): string[] => Array.from({ length: count }, (_, index) => `${prefix}.${kind}${index}`);
  const [subjects, victims] = [names("s", SUBJECTS), names("v", 3)];
  const made = await registerPeople(http, [...subjects, ...victims, `${prefix}.mod`]);
  const of = (some: readonly string[]): SignedIn[] => some.map((name) => made[name] as SignedIn);
  await makeStaff(mesh.database, made[`${prefix}.mod`] as SignedIn, "moderator");
  return { subjects: of(subjects), victims: of(victims), moderator: await logIn(http, `${prefix}.mod`) };
}

/** Each of these is one event of the subject. */
async function change(
  http: HttpClient,
  one: SignedIn,
  { people, index, count }: { readonly people: People; readonly index: number; readonly count: number },
): Promise<void> {
  const other = pick(people.subjects, index + 1 + (Math.floor(count / 3) % (SUBJECTS - 1)));
  const token = one.accessToken;
  const sending = [
    ["PATCH", "/api/users/me", { token, body: { bio: `change ${count}` } }],
    ["POST", `/api/users/${other.id}/follow`, { token }],
    ["DELETE", `/api/users/${other.id}/follow`, { token }],
  ] as const;
  const [method, path, what] = pick<(typeof sending)[number]>(sending, count);
  expectStatus(await http.send(method, path, what), 200);
}

async function askGraphql(http: HttpClient, one: SignedIn): Promise<void> {
  const answer = await http.graphql<{ me: { id: string } }>("{ me { id } }", one.accessToken);
  if (answer.body.data?.me.id !== one.id) throw new Error(`GraphQL: ${answer.status} ${JSON.stringify(answer.body)}`);
}

async function banAndLift(http: HttpClient, moderator: SignedIn, victim: SignedIn): Promise<void> {
  const token = moderator.accessToken;
  const path = `/api/moderation/users/${victim.id}/restrictions`;
  const imposed = await http.send<{ id: string }>("POST", path, { token, body: { kind: "ban", reason: "spam" } });
  expectStatus(imposed, 201);
  expectStatus(await http.send("DELETE", `/api/moderation/restrictions/${imposed.body.id}`, { token, body: { note: "a test" } }), 200);
}

async function ping(socket: SocketClient): Promise<void> {
  const ack = await socket.ask("activity:ping", {});
  if (!ack.ok) throw new Error(ack.error.code);
}

function expectStatus(answer: { readonly status: number; readonly body: unknown }, expected: number): void {
  if (answer.status !== expected) throw new Error(`${answer.status} instead of ${expected}: ${JSON.stringify(answer.body)}`);
}

function pick<Item>(items: readonly Item[], index: number): Item {
  return items[index % items.length] as Item;
}

/** Events written so far, and those whose receipt has not come. */
export async function outbox(mesh: Mesh): Promise<{ readonly written: number; readonly waiting: number; readonly repeated: number }> {
  const text =
    "select count(*)::int as written, (count(*) filter (where done_at is null))::int as waiting, (count(*) filter (where attempts > 1))::int as repeated from outbox";
  const [found] = await onDatabase<{ written: number; waiting: number; repeated: number }>(mesh.database.adminUrl, text);
  return found ?? { written: 0, waiting: 0, repeated: 0 };
}

/** What soak runs are asked for. */
export function report(line: string): void {
  if (SOAK || process.env["VERBOSE"] === "1") process.stderr.write(`${line.replaceAll(/(\d+)\.\d+/g, "$1")}\n`);
}

/** Waits until so many more events were written: whatever breaks then breaks with some under way. */
export async function untilWritten(mesh: Mesh, more: number): Promise<void> {
  const { written } = await outbox(mesh);
  await until(async () => (await outbox(mesh)).written >= written + more, {
    withinMs: 30_000,
    everyMs: 50,
    what: "events to be under way",
  });
}

/** Breaks something while changes go on, and ends when those are delivered too. @returns what was not answered as it should */
export async function underLoad(mesh: Mesh, apis: ApiProcess[], work: (load: Load) => Promise<void>): Promise<readonly string[]> {
  await using load = await startLoad(mesh, apis);
  await work(load);
  const failed = await load.stop();
  await untilDelivered(mesh, 60_000);
  return failed;
}

/** Waits until every event that was written up to now has its receipt; the load may go on. @returns how long that took, in ms */
export async function untilDelivered(mesh: Mesh, withinMs: number): Promise<number> {
  const beganMs = performance.now();
  const [last] = await onDatabase<{ id: string }>(mesh.database.adminUrl, "select id from outbox order by id desc limit 1");
  const waiting =
    "select topic, type, user_version, attempts, due_at - now() as due, last_error from outbox where done_at is null and id <= $1 order by id limit 3";
  const left = (): Promise<object[]> => onDatabase(mesh.database.adminUrl, waiting, [last?.id]);
  await until(async () => (await left()).length === 0, { withinMs, everyMs: 150, what: "every event to have its receipt" }).catch(
    async (error: unknown) => {
      throw new Error(`${String(error)}; ${JSON.stringify([await outbox(mesh), ...(await left())])}`, { cause: error });
    },
  );
  return performance.now() - beganMs;
}

/** Every event of `users.v1` was applied at the neighbour: in order, without a gap, known by one id, and none is a dead letter. */
export async function expectNothingLost(mesh: Mesh, { app, daprd }: Consumer, withinMs = 15_000): Promise<void> {
  const rows = await onDatabase<{ id: string; subject: string; version: number; tries: string }>(
    mesh.database.adminUrl,
    "select id, subject, user_version::int as version, format('%s tries, written %s, receipt %s s after the last', attempts, occurred_at::time, extract(epoch from done_at - due_at) + 10 * 2 ^ (attempts - 1)) as tries from outbox where topic = 'users.v1' order by subject, user_version",
  );
  const wished = new Map<string, number[]>();
  for (const { subject, version } of rows) wished.set(subject, [...(wished.get(subject) ?? []), version]);
  const lost = (): string[] => {
    const ids = new Set(app.seen.map(({ id }) => id));
    return rows.filter(({ id }) => !ids.has(id)).map(({ subject, version, tries }) => `${subject} ${version}: ${tries}`);
  };
  // The receipt says that it came to us; the neighbour may be a little later.
  await until(() => lost().length === 0, { withinMs, what: "the neighbour to hear all" }).catch(() => {});
  expect([lost(), await mesh.rabbit.waitingIn(deadLettersOf(daprd.appId))]).toEqual([[], 0]);
  expect(app.gaps).toEqual([]);
  expect(app.renamed).toEqual([]);
  expect(Object.fromEntries(app.applied)).toEqual(Object.fromEntries(wished));
}

/** What `/health/services` says, in one line: `up`, or what is not and why. */
export async function healthOf(api: ApiProcess): Promise<string> {
  const { body } = await api.http.get<{ services: Record<string, { state: string; detail?: string }> }>("/health/services");
  const ill = Object.entries(body.services).filter(([, part]) => part.state !== "up");
  return ill.length === 0
    ? "up"
    : ill.map(([name, { state, detail }]) => `${name} ${state}${detail === undefined ? "" : ` (${detail})`}`).join(", ");
}

/** Waits until health says so. */
export async function untilHealth(api: ApiProcess, wished: RegExp, withinMs = 30_000): Promise<void> {
  let last = "";
  await until(async () => wished.test((last = await healthOf(api))), { withinMs, everyMs: 100, what: `health ${String(wished)}` }).catch(
    (error: unknown) => {
      throw new Error(`${String(error)}; it was: ${last}`, { cause: error });
    },
  );
}
