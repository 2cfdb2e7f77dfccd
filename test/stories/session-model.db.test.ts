/**
 * Sessions, refresh tokens and what ends them against a model, over random sequences: of two sessions of one person, with replays,
 * time, sign-outs, passwords changed and reset, roles, keys rotated, and the connection to the database cut at a random statement.
 * After a cut both outcomes are possible; the model keeps both until what is seen tells which.
 */

import { afterAll, beforeAll, expect, it } from "@jest/globals";
import fc from "fast-check";
import { closeDb, openDb, type Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { changeRoles } from "#src/features/admin/change-roles";
import { generateKeyRing, parseKeyRing } from "#src/features/sessions/key-ring";
import { selectSessionState } from "#src/features/sessions/public";
import { refresh } from "#src/features/sessions/refresh";
import { logout, logoutAll, revokeOwnOthers } from "#src/features/sessions/revoke";
import { forgotPassword } from "#src/features/sign-in/forgot-password";
import { login } from "#src/features/sign-in/login";
import { changePassword, resetPassword } from "#src/features/sign-in/set-password";
import type { Actor } from "#src/kernel/actor";
import { silentLog } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { testClient } from "../kit/sessions.ts";
import { signInKit, type SignInKit } from "../kit/sign-in.ts";
import { startTcpProxy, type TcpProxy } from "../kit/tcp-proxy.ts";

const stack = new AsyncDisposableStack();
let kit: SignInKit;
/** The same database by a connection that can be cut at its nth statement. */
let cutting: { readonly db: Db; readonly proxy: TcpProxy; cutAfter: number };

beforeAll(async () => {
  kit = stack.use(await signInKit());
  const { hostname, port } = new URL(kit.database.url);
  const proxy = stack.use(await startTcpProxy({ host: hostname, port: Number(port) }));
  const url = Object.assign(new URL(kit.database.url), { hostname: "127.0.0.1", port: String(proxy.port) }).href;
  const onQuery = (): void => {
    cutting.cutAfter -= 1;
    if (cutting.cutAfter === 0) proxy.cut();
  };
  cutting = { db: openDb({ url, maxConnections: 4, applicationName: "test", log: silentLog, onQuery }), proxy, cutAfter: 0 };
  stack.defer(() => closeDb(cutting.db));
});
afterAll(() => stack.disposeAsync());

/** One session as it may stand. */
interface Standing {
  /** Of the newest token. */
  readonly generation: number;
  /** Seconds since that was made. */
  readonly age: number;
  readonly ended: boolean;
}

/** One world that fits all that was seen. */
interface World {
  readonly sessions: readonly [Standing, Standing];
  readonly isModerator: boolean;
  readonly password: string;
}

/** What a step does to a world, and what is seen of it. */
interface Effect {
  readonly world: World;
  readonly seen: string;
}

const SLOTS = [0, 1] as const;
type Slot = (typeof SLOTS)[number];
const other = (slot: Slot): Slot => (slot === 0 ? 1 : 0);
const FIRST_PASSWORD = "securepass"; // as `registered` has it
const GRACE_SECONDS = 30;
const DAY_SECONDS = 86_400;
const IDLE_SECONDS = 30 * DAY_SECONDS;

const fresh: Standing = { generation: 0, age: 0, ended: false };
const put = (world: World, slot: Slot, standing: Partial<Standing>): World => ({
  ...world,
  sessions: world.sessions.map((one, index) => (index === slot ? { ...one, ...standing } : one)) as [Standing, Standing],
});
const endAll = (world: World): World => SLOTS.reduce((ending, slot) => put(ending, slot, { ended: true }), world);

type Step =
  | { readonly do: "present"; readonly slot: Slot; readonly back: number }
  | { readonly do: "wait"; readonly seconds: number }
  | { readonly do: "logIn" | "logOut" | "revokeOthers" | "changePassword"; readonly slot: Slot }
  | { readonly do: "logOutEverywhere" | "resetPassword" | "changeRoles" | "rotateKeys" };

/** RFC 9700, 4.14.2, with one successor for each token: DESIGN's rules in their shortest form. */
function presented(world: World, slot: Slot, generation: number): Effect {
  const standing = world.sessions[slot];
  const behind = standing.generation - generation;
  if (standing.ended) return { world, seen: "session.revoked" };
  if (behind === 0 && standing.age >= IDLE_SECONDS) return { world, seen: "session.expired" };
  if (behind === 0) return { world: put(world, slot, { generation: generation + 1, age: 0 }), seen: `token ${generation + 1}` };
  if ((behind === 1 && standing.age < DAY_SECONDS) || (behind === 2 && standing.age < GRACE_SECONDS)) {
    return { world, seen: `token ${generation + 1}` };
  }
  return { world: put(world, slot, { ended: true }), seen: "refresh.reused" };
}

/** A person with two sessions, what is known of them, and every world that fits it. */
class Person {
  readonly #id: string;
  readonly #name: string;
  readonly #sessions: [string, string];
  /** Of each session the tokens that were seen, by generation. */
  readonly #tokens: [Map<number, string>, Map<number, string>];
  #worlds: readonly World[] = [{ sessions: [fresh, fresh], isModerator: false, password: FIRST_PASSWORD }];
  #count = 0;

  constructor(id: string, name: string, begun: readonly [Begun, Begun]) {
    this.#id = id;
    this.#name = name;
    this.#sessions = [begun[0].session.id, begun[1].session.id];
    this.#tokens = [new Map([[0, begun[0].refreshToken ?? ""]]), new Map([[0, begun[1].refreshToken ?? ""]])];
  }

  /** @param cutAfter the statement with which the connection is lost; 0: none */
  async take(step: Step, cutAfter: number): Promise<void> {
    const doing = this.#prepare(step);
    if (doing === undefined) return;
    const { run, effect, saw } = await doing;
    if (cutAfter === 0 || step.do === "wait" || step.do === "rotateKeys") {
      const seen = saw(await outcomeOf(run(kit)));
      const fitting = this.#worlds.map(effect).filter((one) => one.seen === seen);
      if (fitting.length === 0)
        throw new Error(`${JSON.stringify(step)}: ${seen}; fits none of ${JSON.stringify(this.#worlds.map(effect))}`);
      this.#worlds = distinct(fitting.map(({ world }) => world));
    } else {
      cutting.cutAfter = cutAfter;
      // The caller learns nothing, or what it learns is lost with it.
      await outcomeOf(run({ ...kit, db: cutting.db }));
      cutting.cutAfter = 0;
      this.#worlds = distinct([...this.#worlds, ...this.#worlds.map((world) => effect(world).world)]);
    }
  }

  /** What every process is told of a session, at the end: what the gate decides by. */
  async compare(): Promise<void> {
    await this.#password();
    await this.#roles();
    const ended = await Promise.all(this.#sessions.map(async (id) => (await selectSessionState(kit.db, id))?.endedBecause !== null));
    const fitting = this.#worlds.filter(({ sessions }) => sessions.every((one, index) => one.ended === ended[index]));
    expect({ ended, fits: fitting.length > 0, worlds: this.#worlds }).toMatchObject({ fits: true });
    // Every end was told to the feed, or a process would go on trusting its memory.
    for (const [index, isOver] of ended.entries()) {
      const inFeed = await row(
        kit.db,
        sql`select 1 from revocations where subject = ${this.#id}::uuid and (session_id is null or session_id = ${this.#sessions[index]}::uuid) limit 1`,
      );
      if (isOver) expect(inFeed).toBeDefined();
    }
  }

  #prepare(step: Step): Promise<Doing> | undefined {
    const same = (world: World): Effect => ({ world, seen: "ok" });
    const simply = (run: Doing["run"], effect: Doing["effect"]): Promise<Doing> => Promise.resolve({ run, effect, saw: told });
    switch (step.do) {
      case "present":
        return Promise.resolve(this.#present(step.slot, step.back));
      case "wait":
        return simply(
          () => this.#wait(step.seconds),
          (world) => ({
            world: { ...world, sessions: world.sessions.map((one) => ({ ...one, age: one.age + step.seconds })) as [Standing, Standing] },
            seen: "ok",
          }),
        );
      case "logIn":
        return this.#logIn(step.slot);
      case "logOut":
        return simply(
          (deps) => logout(deps, this.#actor(step.slot)),
          (world) => same(put(world, step.slot, { ended: true })),
        );
      case "revokeOthers":
        return simply(
          (deps) => revokeOwnOthers(deps, this.#actor(step.slot)),
          (world) => same(put(world, other(step.slot), { ended: true })),
        );
      case "logOutEverywhere":
        return simply(
          (deps) => logoutAll(deps, this.#actor(0)),
          (world) => same(endAll(world)),
        );
      case "changePassword":
        return this.#changePassword(step.slot);
      case "resetPassword":
        return this.#reset();
      case "changeRoles":
        return this.#changeRoles();
      case "rotateKeys":
        return simply(() => rotateKeys(), same);
    }
  }

  #present(slot: Slot, back: number): Doing {
    const known = [...this.#tokens[slot]];
    const [generation, token] = known[Math.max(0, known.length - 1 - back)] ?? [0, ""];
    return {
      run: (deps) => refresh(deps, { refreshToken: token, client: testClient }),
      effect: (world) => presented(world, slot, generation),
      saw: (outcome) => {
        if (typeof outcome === "string") return outcome;
        const { refreshToken } = outcome as { refreshToken: string };
        const before = this.#tokens[slot].get(generation + 1);
        // One successor, whoever asks and how often.
        if (before !== undefined) expect(refreshToken).toBe(before);
        this.#tokens[slot].set(generation + 1, refreshToken);
        return `token ${generation + 1}`;
      },
    };
  }

  async #wait(seconds: number): Promise<void> {
    await inTx(kit.db, (tx) =>
      affected(
        tx,
        sql`update refresh_tokens set made_at = made_at - make_interval(secs => ${seconds}) where session_id = any (${this.#sessions}::uuid[])`,
      ),
    );
  }

  async #logIn(slot: Slot): Promise<Doing> {
    const password = await this.#password();
    let begun: Begun | undefined;
    return {
      run: async (deps) => {
        begun = (await login(deps, { emailOrUsername: this.#name, password, client: testClient })) as Begun;
        // Where the answer was lost nobody has that session: it is none of the two.
        if (deps.db === kit.db) {
          this.#sessions[slot] = begun.session.id;
          this.#tokens[slot] = new Map([[0, begun.refreshToken ?? ""]]);
        }
      },
      effect: (world) => ({
        world: begun !== undefined && this.#sessions[slot] === begun.session.id ? put(world, slot, fresh) : world,
        seen: "ok",
      }),
      saw: told,
    };
  }

  async #changePassword(slot: Slot): Promise<Doing> {
    const currentPassword = await this.#password();
    const newPassword = this.#newPassword();
    return {
      run: (deps) => changePassword(deps, { actor: this.#actor(slot), currentPassword, newPassword }),
      effect: (world) => ({ world: { ...put(world, other(slot), { ended: true }), password: newPassword }, seen: "ok" }),
      saw: told,
    };
  }

  async #reset(): Promise<Doing> {
    const email = `${this.#name}@example.com`;
    await forgotPassword(kit, { email, client: testClient });
    const token = (await kit.mailTo(email)).filter(({ subject }) => subject === "Set a new password").at(-1)?.token ?? "";
    const password = this.#newPassword();
    return {
      run: (deps) => resetPassword(deps, { token, password, keepSessions: false, client: testClient }),
      effect: (world) => ({ world: { ...endAll(world), password }, seen: "ok" }),
      saw: told,
    };
  }

  async #changeRoles(): Promise<Doing> {
    const wished = (await this.#roles()).includes("moderator") ? (["user"] as const) : (["user", "moderator"] as const);
    return {
      run: (deps) => changeRoles(deps, { by: "operator", userId: this.#id, reason: "a test", roles: wished }),
      effect: (world) => ({ world: { ...endAll(world), isModerator: wished.length > 1 }, seen: "ok" }),
      saw: told,
    };
  }

  #newPassword(): string {
    return `a password of ${this.#name} ${(this.#count += 1)}`;
  }

  /** The one that holds. After a cut that tells which world it is: a password changes together with what it ends, or not at all. */
  async #password(): Promise<string> {
    const stored = await row<{ hash: string }>(
      kit.db,
      sql`select password_hash as hash from credentials where user_id = ${this.#id}::uuid`,
    );
    for (const { password } of this.#worlds) {
      if (!(await kit.hasher.verify(password, stored?.hash))) continue;
      this.#worlds = this.#worlds.filter((world) => world.password === password);
      return password;
    }
    throw new Error(`none of the passwords holds: ${JSON.stringify(this.#worlds)}`);
  }

  /** The same for roles. */
  async #roles(): Promise<readonly string[]> {
    const roles = (await row<{ roles: string[] }>(kit.db, sql`select roles from users where id = ${this.#id}::uuid`))?.roles ?? [];
    this.#worlds = this.#worlds.filter(({ isModerator }) => isModerator === roles.includes("moderator"));
    return roles;
  }

  #actor(slot: Slot): Actor {
    return { userId: this.#id, sessionId: this.#sessions[slot], roles: ["user"], limits: [] } as unknown as Actor;
  }
}

interface Begun {
  readonly session: { readonly id: string };
  readonly refreshToken?: string;
}

interface Doing {
  readonly run: (deps: SignInKit) => Promise<unknown>;
  readonly effect: (world: World) => Effect;
  readonly saw: (outcome: unknown) => string;
}

const told = (outcome: unknown): string => (typeof outcome === "string" ? outcome : "ok");

/** A Problem's code, "cut" for a lost connection, or what came. */
async function outcomeOf(running: Promise<unknown>): Promise<unknown> {
  try {
    return (await running) ?? {};
  } catch (error) {
    return error instanceof Problem ? error.code : `cut: ${String(error)}`;
  }
}

function distinct(worlds: readonly World[]): World[] {
  return [...new Map(worlds.map((world) => [JSON.stringify(world), world])).values()];
}

/** New keys sign, those of before are still good. */
async function rotateKeys(): Promise<void> {
  const [now, next] = [currentRing, JSON.parse(generateKeyRing()) as StoredRing];
  currentRing = { ...now, accessKeys: [...next.accessKeys, ...now.accessKeys], refreshKeys: [...next.refreshKeys, ...now.refreshKeys] };
  kit.keyRing.replace(parseKeyRing(JSON.stringify(currentRing)));
}

interface StoredRing {
  readonly accessKeys: readonly object[];
  readonly refreshKeys: readonly object[];
}
let currentRing = JSON.parse(generateKeyRing()) as StoredRing;

it("never stand otherwise than their model says", async () => {
  kit.keyRing.replace(parseKeyRing(JSON.stringify(currentRing)));
  let people = 0;
  const slot = fc.constantFrom(...SLOTS);
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 8, arbitrary: fc.record({ do: fc.constant("present" as const), slot, back: fc.nat(3) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("wait" as const), seconds: fc.constantFrom(5, 31, 3_600, 90_000, IDLE_SECONDS) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("logIn" as const, "logOut", "revokeOthers", "changePassword"), slot }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("logOutEverywhere" as const, "resetPassword", "changeRoles", "rotateKeys") }) },
  );
  const cut = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 8 }) });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(step, cut), { minLength: 3, maxLength: 14 }), async (steps) => {
      const name = `model${(people += 1)}`;
      const first = (await kit.registered(name)) as Begun & { readonly user: { readonly id: string } };
      const second = (await login(kit, { emailOrUsername: name, password: FIRST_PASSWORD, client: testClient })) as Begun;
      const person = new Person(first.user.id, name, [first, second]);
      for (const [one, cutAfter] of steps) await person.take(one, cutAfter);
      await person.compare();
    }),
    { numRuns: process.env["SOAK"] === "1" ? 1_000 : 60 },
  );
  expect(
    await rows(kit.db, sql`select 1 from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'`),
  ).toEqual([]);
}, 600_000);
