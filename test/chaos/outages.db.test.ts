/** PostgreSQL stands still, and everything is killed at random moments. Short here; SOAK=1 registers a thousand. */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { delay } from "#src/kernel/clock";
import { HttpClient, type Answer, type ProblemBody } from "../kit/http-client.ts";
import { startOwnPostgres, type OwnPostgres } from "../kit/own-postgres.ts";
import { startPostgresProxy } from "../kit/postgres-proxy.ts";
import {
  logIn,
  makeStaff,
  onDatabase,
  registerPeople,
  startApiProcess,
  startWorkerProcess,
  type ApiProcess,
  type ServiceProcess,
  type SignedInBody,
} from "../kit/service.ts";
import { until } from "../kit/until.ts";

const SOAK = process.env["SOAK"] === "1";
const REGISTRATIONS = SOAK ? 1_000 : 300;
const KILLS = SOAK ? 20 : 6;
const STALL_MS = 5_000;

const stack = new AsyncDisposableStack();
let postgres: OwnPostgres;

beforeAll(async () => {
  postgres = stack.use(await startOwnPostgres());
}, 60_000);
afterAll(() => stack.disposeAsync(), 60_000);

describe("PostgreSQL that stands still for 5 s", () => {
  const RATE_PER_SECOND = 100;
  const BEFORE_MS = 2_000;
  const POOL = 10;

  interface Load {
    readonly answers: Answer<ProblemBody>[];
    readonly failures: string[];
    readonly stop: () => Promise<void>;
  }

  /** Sends at a fixed rate, whatever becomes of what was sent. */
  function load(sends: readonly (() => Promise<Answer<ProblemBody>>)[]): Load {
    const answers: Answer<ProblemBody>[] = [];
    const failures: string[] = [];
    const running = new Set<Promise<void>>();
    const beganMs = performance.now();
    let sent = 0;
    const timer = setInterval(() => {
      for (const due = ((performance.now() - beganMs) / 1_000) * RATE_PER_SECOND; sent < due; sent += 1) {
        const sending = sends[sent % sends.length]?.().then(
          (answer) => void answers.push(answer),
          (error: unknown) => void failures.push(String(error)),
        ) as Promise<void>;
        running.add(sending);
        void sending.finally(() => running.delete(sending));
      }
    }, 10);
    const stop = async (): Promise<void> => {
      clearInterval(timer);
      await Promise.all(running);
    };
    return { answers, failures, stop };
  }

  it("is answered with 503 meanwhile, is not stormed afterwards, and is used again within 2 s", async () => {
    await using proxy = await startPostgresProxy(postgres.url);
    await using api = await startApiProcess({
      database: { url: proxy.urlOf(postgres.url) },
      env: { DATABASE_MAX_CONNECTIONS: String(POOL) },
    });
    using http = new HttpClient(api.url, { maxSockets: 2_000 });
    const { ann, bob } = await registerPeople(http, ["ann", "bob"]);
    const { answers, failures, stop } = load([
      () => http.get("/api/users/me", ann.accessToken),
      () => http.get("/api/users/ann", bob.accessToken),
      () => http.get("/api/users/search?q=bo", ann.accessToken),
      () => http.post("/api/auth/refresh", { refreshToken: bob.refreshToken }),
      () => http.post(`/api/users/${ann.id}/follow`, undefined, bob.accessToken),
      () => http.get("/health"),
    ]);
    await delay(BEFORE_MS);
    const usual = proxy.statements.length;
    postgres.freeze();
    const frozenMs = performance.now();
    await delay(STALL_MS);
    postgres.wake();
    const wokenMs = performance.now();
    const back = await until(async () =>
      (await http.get("/api/users/me", ann.accessToken)).status === 200 ? performance.now() : undefined,
    );
    await delay(Math.max(0, BEFORE_MS - (performance.now() - wokenMs)));
    const afterwards = proxy.statements.filter((atMs) => atMs >= wokenMs).length;
    const meanwhile = proxy.statements.filter((atMs) => atMs >= frozenMs && atMs < wokenMs).length;
    await delay(500);
    await stop();

    const refused = answers.filter(({ status }) => status >= 400);
    process.stdout.write(
      `stall: ${usual} statements in ${BEFORE_MS} ms before, ${meanwhile} while it stood, ${afterwards} in ${BEFORE_MS} ms after; ` +
        `${refused.length} of ${answers.length} refused; back after ${(back - wokenMs).toFixed(0)} ms\n`,
    );
    expect(failures).toEqual([]);
    expect(refused.length).toBeGreaterThan(100);
    let slow = 0;
    for (const { status, body, headers, sentMs, doneMs } of refused) {
      expect([status, headers["content-type"], headers["retry-after"]]).toEqual([503, "application/problem+json", "1"]);
      expect(body.code).toBe("service.busy");
      // What had a connection when it stopped waits for the statement's time-out; nobody else does.
      if (doneMs - sentMs > 4_000) slow += 1;
      expect(doneMs - sentMs).toBeLessThan(8_000);
    }
    expect(slow).toBeLessThanOrEqual(POOL);
    expect(
      answers
        .filter(({ body }) => body.status === undefined && JSON.stringify(body).includes("live"))
        .every(({ status }) => status === 200),
    ).toBe(true);
    // While it stands nobody asks more and more; afterwards there is what there always is.
    expect(meanwhile).toBeLessThan(usual / 2);
    expect(afterwards).toBeLessThan(usual * 1.5);
    expect(back - wokenMs).toBeLessThan(2_000);
    expect(answers.filter(({ sentMs, status }) => sentMs > wokenMs + 2_000 && status >= 400)).toEqual([]);
    expect(api.errors()).toEqual([]);
  }, 60_000);
});

describe("PostgreSQL that crashes", () => {
  /** Seconds since the feed of a process last read, as its metrics tell. */
  async function feedAge(api: ApiProcess): Promise<number> {
    const { body } = await api.http.get<string>("/metrics");
    return Number(/^revocation_feed_age_seconds (\S+)/m.exec(body)?.[1]);
  }

  it("gives numbers of transactions again, and a ban with such a number is heard all the same by a process that had seen it before", async () => {
    const database = { url: postgres.url, adminUrl: postgres.adminUrl };
    await using first = await startApiProcess({ database });
    await using second = await startApiProcess({ database });
    const { vic, mody } = await registerPeople(first.http, ["vic", "mody"]);
    await makeStaff(database, mody, "moderator");
    const moderator = await logIn(first.http, "mody");
    const me = (): Promise<Answer<ProblemBody>> => second.http.get("/api/users/me", vic.accessToken);
    expect((await me()).status).toBe(200);

    // Numbers that were taken and given up, of which nothing is on disk when PostgreSQL dies.
    await onDatabase(postgres.adminUrl, "do $$ begin for i in 1..5000 loop perform pg_current_xact_id(); rollback; end loop; end $$");
    const [before] = await onDatabase<{ next: string }>(postgres.adminUrl, "select pg_snapshot_xmax(pg_current_snapshot())::text as next");
    const takenMs = performance.now();
    await until(async () => (await feedAge(second)) * 1_000 < performance.now() - takenMs, { what: "the feed to have read since" });
    // It looks away while PostgreSQL is back before it, and somebody is banned.
    second.freeze();
    await postgres.kill("backend");
    const path = `/api/moderation/users/${vic.id}/restrictions`;
    const ban = (): Promise<Answer<ProblemBody>> => first.http.post(path, { kind: "ban", reason: "spam" }, moderator.accessToken);
    await until(async () => (await ban()).status === 201, { withinMs: 30_000, what: "the service to be back" });
    const [after] = await onDatabase<{ next: string }>(
      postgres.adminUrl,
      "select max(xact_id::text::bigint)::text as next from revocations",
    );
    expect(Number(after?.next)).toBeLessThan(Number(before?.next));
    second.wake();
    const wokenMs = performance.now();
    const refused = await until(
      async () => {
        const answer = await me();
        return answer.status === 403 ? answer : undefined;
      },
      { withinMs: 1_500, what: "the ban to be heard" },
    );
    expect(refused.body.code).toBe("account.restricted");
    expect(refused.sentMs - wokenMs).toBeLessThan(1_000);
  }, 60_000);
});

describe("kill -9 of API, worker and PostgreSQL at random moments", () => {
  /** What somebody was told of their registration, and of the changes after it. */
  interface Acknowledged {
    readonly username: string;
    readonly id: string;
    changes: number;
  }

  it("loses no acknowledged registration and no event, and keeps each user's order", async () => {
    const database = { url: postgres.url };
    await watchOutbox(postgres.adminUrl);
    await using crowd = new AsyncDisposableStack();
    const apis: ApiProcess[] = await Promise.all([0, 1].map(() => startApiProcess({ database })));
    const workers: ServiceProcess[] = [await startWorkerProcess({ database })];
    crowd.defer(async () => void (await Promise.all([...apis, ...workers].map((one) => one[Symbol.asyncDispose]()))));
    const acknowledged: Acknowledged[] = [];
    const restart = { api: () => startApiProcess({ database }), worker: () => startWorkerProcess({ database }) };
    const victims = { apis, workers, acknowledged, restart, killed: [] as Kind[] };
    const killing = killAtRandom(victims);
    let next = 0;
    let hasFailed = false;
    void killing.catch(() => (hasFailed = true));
    const lane = async (index: number): Promise<void> => {
      while (!hasFailed && (acknowledged.length < REGISTRATIONS || victims.killed.length < KILLS)) {
        await registerAndChange(apis, index, `killed${(next += 1)}`, acknowledged);
      }
    };
    await Promise.all([killing, ...Array.from({ length: 6 }, (_, index) => lane(index))]);
    expect(acknowledged.length).toBeGreaterThanOrEqual(REGISTRATIONS);

    const [api] = apis as [ApiProcess];
    for (const { username, id } of acknowledged) expect((await logIn(api.http, username)).id).toBe(id);
    await until(async () => (await waiting()) === 0, { withinMs: 40_000, what: "every event to be delivered" });
    const { users, repeats } = await examine(acknowledged);
    process.stdout.write(
      `killed ${victims.killed.join(", ")}; ${acknowledged.length} acknowledged of ${users} registered; ${repeats} events published again with the same id\n`,
    );
    expect(new Set(victims.killed)).toEqual(new Set(KINDS));
  }, 240_000);

  async function registerAndChange(
    apis: readonly ApiProcess[],
    lane: number,
    username: string,
    acknowledged: Acknowledged[],
  ): Promise<void> {
    const http = apis[lane % apis.length]?.http;
    const body = { email: `${username}@example.com`, username, password: "correct horse battery" };
    const answer = await http?.post<SignedInBody>("/api/auth/register", body).catch(() => undefined);
    if (answer?.status !== 201) {
      // Gone, or without a database: as a client would, not at once again.
      await delay(50);
      return;
    }
    const one: Acknowledged = { username, id: answer.body.user.id, changes: 0 };
    acknowledged.push(one);
    for (const bio of ["first", "second"]) {
      const changed = await http?.send("PATCH", "/api/users/me", { token: answer.body.accessToken, body: { bio } }).catch(() => undefined);
      if (changed?.status === 200) one.changes += 1;
    }
  }

  const KINDS = ["api", "worker", "server", "backend"] as const;
  type Kind = (typeof KINDS)[number];

  interface Victims {
    readonly apis: ApiProcess[];
    readonly workers: ServiceProcess[];
    readonly acknowledged: readonly Acknowledged[];
    readonly restart: { readonly api: () => Promise<ApiProcess>; readonly worker: () => Promise<ServiceProcess> };
    readonly killed: Kind[];
  }

  /** Each kind at least once, in random order, each after a random number of further registrations; all are started again. */
  async function killAtRandom(victims: Victims): Promise<void> {
    for (const kind of shuffled(Array.from({ length: KILLS }, (_, index) => KINDS[index % KINDS.length] ?? "api"))) {
      const least = victims.acknowledged.length + 1 + Math.random() * (REGISTRATIONS / KILLS - 1);
      await until(() => victims.acknowledged.length >= least, { withinMs: 60_000, everyMs: 1, what: "further registrations" });
      await killOne(kind, victims);
      victims.killed.push(kind);
    }
  }

  async function killOne(kind: Kind, { apis, workers, restart }: Victims): Promise<void> {
    if (kind === "server" || kind === "backend") {
      await postgres.kill(kind);
      await until(() => onDatabase(postgres.adminUrl, "select 1"), { withinMs: 30_000, what: "PostgreSQL to be back" });
      return;
    }
    const list: ServiceProcess[] = kind === "api" ? apis : workers;
    const index = Math.floor(Math.random() * list.length);
    await list[index]?.kill();
    await list[index]?.[Symbol.asyncDispose]();
    list[index] = await restart[kind]();
  }

  function shuffled<Item>(items: readonly Item[]): Item[] {
    return items
      .map((item) => ({ item, at: Math.random() }))
      .sort((one, other) => one.at - other.at)
      .map(({ item }) => item);
  }

  /** Every claim and every receipt of an event, in the order in which they were committed to. */
  async function watchOutbox(adminUrl: string): Promise<void> {
    await onDatabase(
      adminUrl,
      `create table outbox_history (at bigserial, id uuid, topic text, subject uuid, user_version bigint, what text);
       create function note_outbox() returns trigger language plpgsql security definer as $$
       begin
         if new.fence > old.fence then insert into outbox_history (id, topic, subject, user_version, what) values (new.id, new.topic, new.subject, new.user_version, 'claimed'); end if;
         if new.done_at is not null and old.done_at is null then insert into outbox_history (id, topic, subject, user_version, what) values (new.id, new.topic, new.subject, new.user_version, 'done'); end if;
         return null;
       end $$;
       create trigger note_outbox after update on outbox for each row execute function note_outbox();`,
    );
  }

  async function waiting(): Promise<number> {
    const [found] = await onDatabase<{ count: string }>(postgres.adminUrl, "select count(*) from outbox where done_at is null");
    return Number(found?.count);
  }

  async function examine(acknowledged: readonly Acknowledged[]): Promise<{ readonly users: number; readonly repeats: number }> {
    const one = async (text: string, values: readonly unknown[] = []): Promise<unknown> =>
      Object.values((await onDatabase<Record<string, unknown>>(postgres.adminUrl, text, values))[0] ?? {})[0];
    const ids = acknowledged.map(({ id }) => id);
    const changes = acknowledged.map((person) => person.changes);

    // One registration each, as its first event, for everybody who is there; each acknowledged change has its event.
    expect(
      await one(
        `select array_agg(username) from users u
         where (select count(*) from outbox o where o.subject = u.id and o.type = 'videamozi.user.registered.v1' and o.user_version = 1) <> 1`,
      ),
    ).toBeNull();
    expect(
      await one(
        `select count(*) from unnest($1::uuid[], $2::int[]) a (id, changes)
         where (select count(*) from outbox o where o.subject = a.id and o.type = 'videamozi.user.profile_updated.v1') < a.changes`,
        [ids, changes],
      ),
    ).toBe("0");
    // No number is missing, and none was given twice.
    expect(await one("select count(*) from (select from outbox group by topic, subject having max(user_version) <> count(*)) gaps")).toBe(
      "0",
    );
    // The next of a user was never taken before the receipt of the one before.
    expect(
      await one(
        `select count(*) from outbox_history later
         where later.what = 'claimed' and later.user_version > 1 and later.subject in (select id from users where username like 'killed%') and not exists (
           select from outbox_history earlier where earlier.topic = later.topic and earlier.subject = later.subject
             and earlier.user_version = later.user_version - 1 and earlier.what = 'done' and earlier.at < later.at)`,
      ),
    ).toBe("0");
    const repeats = await one(
      "select count(*) from (select from outbox_history where what = 'claimed' group by id having count(*) > 1) again",
    );
    return { users: Number(await one("select count(*) from users where username like 'killed%'")), repeats: Number(repeats) };
  }
});
