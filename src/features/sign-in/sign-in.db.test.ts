import { describe, expect, it } from "@jest/globals";
import { affected, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { setStatus } from "#src/features/accounts/public";
import { revokeAll, selectSessionState } from "#src/features/sessions/public";
import type { Attempts } from "#src/kernel/actor";
import { Problem } from "#src/kernel/problem";
import { testClient } from "../../../test/kit/sessions.ts";
import { signInKit, waitOf, type SignInKit } from "../../../test/kit/sign-in.ts";
import { codeOf } from "../../../test/kit/outcome.ts";
import { ensureFirstAdmin } from "./first-admin.ts";
import type { LoggedIn } from "./begin-or-ask.ts";
import { login } from "./login.ts";
import { register } from "./register.ts";
import { loginAccountBudget } from "./sign-in.actions.ts";

const john = { email: "John@Example.com", username: "JohnDoe", password: "securepass", client: testClient };

function signIn(kit: SignInKit, emailOrUsername: string, password = "securepass"): Promise<LoggedIn> {
  return login(kit, { emailOrUsername, password, client: testClient });
}

async function ban(kit: SignInKit, userId: string): Promise<void> {
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
    const wait = waitOf(kit, loginAccountBudget);
    for (let guess = 0; guess < 19; guess += 1, wait(guess)) {
      expect(await codeOf(signIn(kit, "johndoe", "wrong-password"))).toBe("credentials.invalid");
    }
    expect(await codeOf(signIn(kit, "JohnDoe"))).toBe("ok");

    for (let guess = 0; guess < 20; guess += 1, wait(guess)) await codeOf(signIn(kit, "johndoe", "wrong-password"));

    const refusal = await signIn(kit, "johndoe").catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: "sign_in.throttled" });
    expect((refusal as Problem).details.retryAfterSeconds).toBeGreaterThan(60);
    expect(kit.outcomes.at(-1)).toBe("login sign_in.throttled");
  });
});

describe("the pace of wrong passwords", () => {
  const hints = async (attempt: Promise<unknown>): Promise<unknown> => {
    const refusal = await attempt.then(
      () => "ok",
      (error: unknown) => error,
    );
    if (!(refusal instanceof Problem)) return refusal;
    return { code: refusal.code, ...refusal.details };
  };

  it("is the same for a name that nobody has, to the last word", async () => {
    await using kit = await signInKit(true);
    await kit.registered("ann");
    const told = async (name: string): Promise<unknown[]> => {
      const answers = [];
      for (let guess = 0; guess < 5; guess += 1) answers.push(await hints(signIn(kit, name, "wrong-password")));
      kit.waitSeconds(1);
      for (let guess = 0; guess < 2; guess += 1) answers.push(await hints(signIn(kit, name, "wrong-password")));
      return answers;
    };
    const invalid = { code: "credentials.invalid" };
    const waits = (seconds: number): object => ({
      code: "sign_in.throttled",
      retryAfterSeconds: seconds,
      headers: { "RateLimit-Limit": "20", "RateLimit-Remaining": "0", "RateLimit-Reset": String(seconds) },
    });
    expect(await told("ann")).toEqual([invalid, invalid, invalid, invalid, waits(1), invalid, waits(2)]);
    expect(await told("nobody")).toEqual(await told("ann@example.com"));
  });

  it("lets the right password in at the fourth try, and begins anew after it", async () => {
    await using kit = await signInKit(true);
    await kit.registered("ann");
    for (let round = 0; round < 3; round += 1) {
      for (let guess = 0; guess < 3; guess += 1) expect(await codeOf(signIn(kit, "ann", "wrong-password"))).toBe("credentials.invalid");
      expect(await codeOf(signIn(kit, "ann", "securepass"))).toBe("ok");
    }
  });

  it("makes the right password wait as well, no longer than it said", async () => {
    await using kit = await signInKit(true);
    await kit.registered("ann");
    for (let guess = 0; guess < 4; guess += 1) await codeOf(signIn(kit, "ann", "wrong-password"));
    expect(await codeOf(signIn(kit, "ann", "securepass"))).toBe("sign_in.throttled");
    kit.waitSeconds(1);
    expect(await codeOf(signIn(kit, "ann", "securepass"))).toBe("ok");
  });

  it("is not felt on a known device, whatever others do", async () => {
    await using kit = await signInKit(true);
    const { deviceToken } = await kit.registered("ann");
    for (let guess = 0; guess < 6; guess += 1) await codeOf(signIn(kit, "ann", "wrong-password"));
    const here = (password: string): Promise<string> =>
      codeOf(login(kit, { emailOrUsername: "ann", password, deviceToken, client: testClient }));
    for (let guess = 0; guess < 8; guess += 1) expect(await here("wrong-password")).toBe("credentials.invalid");
    expect(await here("securepass")).toBe("ok");
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

    const making = ensureFirstAdmin(kit, { username: "johndoe", email: "root@example.com", password: "a-long-admin-password" });
    await expect(making).rejects.toMatchObject({ name: "FirstAdminRefused", field: "username" });
  });
});

describe("somebody whose tries others have used up", () => {
  const burn = async (kit: SignInKit, name: string): Promise<void> => {
    const wait = waitOf(kit, loginAccountBudget);
    for (let index = 0; index < loginAccountBudget.limit; index += 1, wait(index)) await codeOf(signIn(kit, name, "wrong-password"));
  };
  const withDevice = (kit: SignInKit, deviceToken: string, password = "securepass", name = "ann"): Promise<LoggedIn> =>
    login(kit, { emailOrUsername: name, password, deviceToken, client: testClient });

  it("still signs in from a device that has done so before, and from no other", async () => {
    await using kit = await signInKit(true);
    const { deviceToken } = await kit.registered("ann");
    await burn(kit, "ann");
    expect(await codeOf(signIn(kit, "ann"))).toBe("sign_in.throttled");
    const again = await withDevice(kit, deviceToken);
    expect(again.deviceToken).toBe(deviceToken);
    expect(await codeOf(withDevice(kit, `${deviceToken}x`))).toBe("sign_in.throttled");
  });

  it("has no more tries by it than anybody, and none at other accounts", async () => {
    await using kit = await signInKit(true);
    const { deviceToken } = await kit.registered("ann");
    await kit.registered("bob");
    await burn(kit, "bob");
    expect(await codeOf(withDevice(kit, deviceToken, "securepass", "bob"))).toBe("sign_in.throttled");
    const outcomes = new Set<string>();
    for (let index = 0; index < 2 * loginAccountBudget.limit + 1; index += 1) {
      outcomes.add(await codeOf(withDevice(kit, deviceToken, "wrong-password")));
    }
    expect(outcomes).toEqual(new Set(["credentials.invalid", "sign_in.throttled"]));
  });
});
