import { describe, expect, it } from "@jest/globals";
import { affected, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { setStatus } from "#src/features/accounts/public";
import { revokeAll, selectSessionState } from "#src/features/sessions/public";
import type { Attempts } from "#src/kernel/actor";
import { systemClock } from "#src/kernel/clock";
import { silentLog } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { createAttempts } from "#src/sidecar/attempts";
import { localState } from "#src/sidecar/local/local-state.sql";
import { sessionKit, testClient, type SessionKit } from "../../../test/kit/sessions.ts";
import { ensureFirstAdmin } from "./first-admin.ts";
import { login, type LoggedIn } from "./login.ts";
import { createPasswordHasher, type PasswordHasher } from "./password-hash.ts";
import { register } from "./register.ts";
import { loginAccountBudget } from "./sign-in.actions.ts";
import { signInThrottled } from "./sign-in.errors.ts";

type Kit = SessionKit & {
  readonly hasher: PasswordHasher;
  readonly attempts: Attempts;
  readonly outcomes: string[];
  readonly onRegistration: (outcome: string) => void;
  readonly onLogin: (outcome: string) => void;
};

async function signInKit(limits = false): Promise<Kit> {
  const kit = await sessionKit();
  const outcomes: string[] = [];
  const hasher = createPasswordHasher({ cost: 4, threads: 1 });
  return {
    ...kit,
    hasher,
    outcomes,
    attempts: createAttempts({ state: localState(kit.db), clock: systemClock, log: silentLog, enabled: limits, refusal: signInThrottled }),
    onRegistration: (outcome) => void outcomes.push(`registration ${outcome}`),
    onLogin: (outcome) => void outcomes.push(`login ${outcome}`),
    [Symbol.asyncDispose]: async () => {
      await hasher.close();
      await kit[Symbol.asyncDispose]();
    },
  };
}

const john = { email: "John@Example.com", username: "JohnDoe", password: "securepass", client: testClient };

function signIn(kit: Kit, emailOrUsername: string, password = "securepass"): Promise<LoggedIn> {
  return login(kit, { emailOrUsername, password, client: testClient });
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => "ok",
    (error: unknown) => (error instanceof Problem ? error.code : String(error)),
  );
}

async function ban(kit: Kit, userId: string): Promise<void> {
  await inTx(kit.db, async (tx) => {
    await affected(
      tx,
      sql`insert into restrictions (id, user_id, kind, reason_policy, reason, message) values (gen_random_uuid(), ${userId}::uuid, 'ban', '1', 'spam', 'Stop it')`,
    );
    await setStatus(tx, userId);
    await revokeAll(tx, userId, "account.restricted");
  });
}

describe("registering", () => {
  it("makes account, credentials, session and event together", async () => {
    await using kit = await signInKit();

    const made = await register(kit, john);

    expect(made.user).toMatchObject({
      username: "JohnDoe",
      email: "John@Example.com",
      displayName: "JohnDoe",
      roles: ["user"],
      status: "active",
    });
    expect(await selectSessionState(kit.db, made.session.id)).toMatchObject({ userId: made.user.id, endedBecause: null });
    expect(await rows(kit.db, sql`select type, subject, user_version from outbox`)).toEqual([
      { type: "videamozi.user.registered.v1", subject: made.user.id, user_version: 1 },
    ]);
    expect(kit.outcomes).toEqual(["registration accepted"]);
  });

  it("refuses a name or address that is taken in another spelling, and leaves nothing of the try behind", async () => {
    await using kit = await signInKit();
    await register(kit, john);

    expect(await codeOf(register(kit, { ...john, username: "johndoe", email: "other@example.com" }))).toBe("username.taken");
    expect(await codeOf(register(kit, { ...john, username: "other", email: "john@example.COM" }))).toBe("email.taken");
    expect(await rows(kit.db, sql`select (select count(*) from users) as users, (select count(*) from outbox) as events`)).toEqual([
      { users: 1, events: 1 },
    ]);
  });

  it("gives a name to one of twelve who want it at once", async () => {
    await using kit = await signInKit();

    const outcomes = await Promise.all(
      Array.from({ length: 12 }, (_, index) => codeOf(register(kit, { ...john, email: `john${index}@example.com` }))),
    );

    expect(outcomes.filter((outcome) => outcome === "ok")).toHaveLength(1);
    expect(new Set(outcomes)).toEqual(new Set(["ok", "username.taken"]));
  });
});

describe("logging in", () => {
  it("takes name or address in any spelling, and says one thing for a wrong password and an absent account", async () => {
    await using kit = await signInKit();
    await register(kit, john);

    expect((await signIn(kit, "johndoe")).user.username).toBe("JohnDoe");
    expect((await signIn(kit, "JOHN@example.com")).refreshToken).toBeDefined();
    expect(await codeOf(signIn(kit, "johndoe", "wrong-password"))).toBe("credentials.invalid");
    expect(await codeOf(signIn(kit, "nobody"))).toBe("credentials.invalid");
    expect(await codeOf(signIn(kit, "nobody@example.com"))).toBe("credentials.invalid");
  });

  it("tells a banned account so only after the right password, and gives a short session without refresh token", async () => {
    await using kit = await signInKit();
    const { user } = await register(kit, john);
    await ban(kit, user.id);

    expect(await codeOf(signIn(kit, "johndoe", "wrong-password"))).toBe("credentials.invalid");
    const restricted = await signIn(kit, "johndoe");

    expect(restricted).not.toHaveProperty("refreshToken");
    expect(restricted).toMatchObject({ user: { status: "banned" }, restriction: { kind: "ban", reason: "spam", message: "Stop it" } });
    expect(Date.parse(restricted.session.expiresAt) - Date.now()).toBeLessThanOrEqual(15 * 60 * 1000);
  });

  it("lets no session slip past a ban that is decided at the same moment", async () => {
    await using kit = await signInKit();
    const { user } = await register(kit, john);

    const [sessions] = await Promise.all([Promise.all(Array.from({ length: 10 }, () => signIn(kit, "johndoe"))), ban(kit, user.id)]);

    for (const { session, refreshToken } of sessions) {
      const state = await selectSessionState(kit.db, session.id);
      expect(state?.status).toBe("banned");
      expect(refreshToken === undefined ? state?.restricted : state?.endedBecause).toBe(
        refreshToken === undefined ? true : "account.restricted",
      );
    }
  });

  it("has one budget an account, whoever guesses, given back by a success", async () => {
    await using kit = await signInKit(true);
    await register(kit, john);
    for (let guess = 0; guess < 19; guess += 1) expect(await codeOf(signIn(kit, "johndoe", "wrong-password"))).toBe("credentials.invalid");
    expect(await codeOf(signIn(kit, "JohnDoe"))).toBe("ok");

    for (let guess = 0; guess < 20; guess += 1) await codeOf(signIn(kit, "johndoe", "wrong-password"));

    const refusal = await signIn(kit, "johndoe").catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: "sign_in.throttled" });
    expect((refusal as Problem).details.retryAfterSeconds).toBeGreaterThan(60);
    expect(kit.outcomes.at(-1)).toBe("login sign_in.throttled");
  });
});

describe("a login that finds everyone busy", () => {
  it("costs the account no try", async () => {
    await using kit = await signInKit(true);
    await register(kit, john);
    {
      using held = new DisposableStack();
      for (let place = 0; place < 17; place += 1) held.use(kit.hasher.reserve());
      for (let attempt = 0; attempt < 25; attempt += 1) expect(await codeOf(signIn(kit, "johndoe"))).toBe("sign_in.busy");
    }

    expect(await rows(kit.db, sql`select key from sidecar_state`)).toEqual([]);
    expect(await codeOf(signIn(kit, "johndoe"))).toBe("ok");
  });

  it("costs no try in a burst either: who was counted is not told to come back", async () => {
    await using kit = await signInKit(true);
    const counted = new Set<string>();
    const attempts: Attempts = {
      ...kit.attempts,
      take: async (action, key) => {
        if (action === loginAccountBudget) counted.add(key);
        await kit.attempts.take(action, key);
      },
    };
    using held = new DisposableStack();
    for (let place = 0; place < 15; place += 1) held.use(kit.hasher.reserve());

    const outcomes = await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        const attempt = {
          emailOrUsername: `nobody${index}`,
          password: "securepass",
          client: { ...testClient, addressKey: `10.0.0.${index}` },
        };
        return { name: attempt.emailOrUsername, code: await codeOf(login({ ...kit, attempts }, attempt)) };
      }),
    );

    const busy = outcomes.filter(({ code }) => code === "sign_in.busy").map(({ name }) => name);
    expect(busy.length).toBeGreaterThan(0);
    expect(counted.size).toBeGreaterThan(0);
    expect(busy.filter((name) => counted.has(name))).toEqual([]);
  });
});

describe("the first admin", () => {
  it("is made once, however many processes start at once", async () => {
    await using kit = await signInKit();
    const admin = { username: "admin", email: "admin@example.com", password: "a-long-admin-password" };

    const outcomes = await Promise.all(Array.from({ length: 5 }, () => ensureFirstAdmin(kit, admin)));

    expect(outcomes.sort()).toEqual(["made", "there-is-one", "there-is-one", "there-is-one", "there-is-one"]);
    expect((await signIn(kit, "admin", "a-long-admin-password")).user.roles).toEqual(["user", "admin"]);
    expect(await ensureFirstAdmin(kit, { ...admin, username: "another" })).toBe("there-is-one");
  });

  it("does not take over a name that somebody has", async () => {
    await using kit = await signInKit();
    await register(kit, john);

    expect(await codeOf(ensureFirstAdmin(kit, { username: "johndoe", email: "root@example.com", password: "a-long-admin-password" }))).toBe(
      "username.taken",
    );
  });
});
