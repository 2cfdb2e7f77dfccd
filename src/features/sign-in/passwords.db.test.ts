import { describe, expect, it } from "@jest/globals";
import { affected, row, rows, sql } from "#src/db/sql";
import { selectSessionState } from "#src/features/sessions/public";
import type { Actor } from "#src/kernel/actor";
import { Problem } from "#src/kernel/problem";
import { testClient } from "../../../test/kit/sessions.ts";
import { signInKit, waitOf, type SignInKit } from "../../../test/kit/sign-in.ts";
import { codeOf } from "../../../test/kit/outcome.ts";
import { ensureFirstAdmin } from "./first-admin.ts";
import { forgotPassword } from "./forgot-password.ts";
import type { LoggedIn } from "./begin-or-ask.ts";
import { login } from "./login.ts";
import { createPasswordHasher } from "./password-hash.ts";
import { changePassword, resetPassword, type PasswordSet } from "./set-password.ts";
import { loginAccountBudget } from "./sign-in.actions.ts";

const client = testClient;

const signIn = (kit: SignInKit, name: string, password: string): Promise<LoggedIn> =>
  login(kit, { emailOrUsername: name, password, client });
const reset = (kit: SignInKit, token: string, password = "a new password", keepSessions = false): Promise<PasswordSet> =>
  resetPassword(kit, { token, password, keepSessions, client });

/** The token of the newest link for a new password. */
async function askFor(kit: SignInKit, email = "ann@example.com"): Promise<string> {
  await forgotPassword(kit, { email, client });
  return (await kit.mailTo(email)).filter(({ subject }) => subject === "Set a new password").at(-1)?.token ?? "";
}

const isOver = async (kit: SignInKit, { session }: { readonly session: { readonly id: string } }): Promise<boolean> =>
  (await selectSessionState(kit.db, session.id))?.endedBecause !== null;

describe("a forgotten password", () => {
  it("is set anew by the mailed link, once; every session ends and the owner is told", async () => {
    await using kit = await signInKit();
    const before = await kit.registered("ann");
    const token = await askFor(kit, "ANN@example.com".toLowerCase());
    expect(await reset(kit, token)).toEqual({ sessionsRevoked: 1 });
    expect(await isOver(kit, before)).toBe(true);
    expect(await codeOf(signIn(kit, "ann", "securepass"))).toBe("credentials.invalid");
    expect((await signIn(kit, "ann", "a new password")).user.emailVerified).toBe(true);
    expect(await codeOf(reset(kit, token))).toBe("link.invalid");
    expect((await kit.mailTo("ann@example.com")).at(-1)?.subject).toBe("Your password was changed");
  });

  it("keeps sessions where that is wished", async () => {
    await using kit = await signInKit();
    const before = await kit.proved("ann");
    expect(await reset(kit, await askFor(kit), "a new password", true)).toEqual({ sessionsRevoked: 0 });
    expect(await isOver(kit, before)).toBe(false);
  });

  it("is set once by fifty at once, and voids other links", async () => {
    await using kit = await signInKit();
    await kit.registered("ann");
    const [other, token] = [await askFor(kit), await askFor(kit)];
    const outcomes = await Promise.all(Array.from({ length: 10 }, (_, index) => codeOf(reset(kit, token, `new password ${index}`))));
    expect(outcomes.filter((outcome) => outcome === "ok")).toHaveLength(1);
    expect(await codeOf(reset(kit, other))).toBe("link.invalid");
  });

  it("of an address without an account costs the same statements and mails nothing", async () => {
    await using kit = await signInKit();
    await kit.registered("ann");
    for (const email of ["ann@example.com", "nobody@example.com"]) {
      await forgotPassword(kit, { email, client });
      expect(
        await row(kit.db, sql`select count(*)::int from one_time_tokens where purpose = 'password_reset' and email = ${email}`),
      ).toEqual({
        count: 1,
      });
    }
    expect(await kit.mailTo("nobody@example.com")).toEqual([]);
  });

  it("refuses a link for something else, one that was changed, and a password that is too easy, which uses nothing up", async () => {
    await using kit = await signInKit();
    await kit.registered("ann");
    const [verification] = await kit.mailTo("ann@example.com");
    expect(await codeOf(reset(kit, verification?.token ?? ""))).toBe("link.invalid");
    const token = await askFor(kit);
    for (const forged of [`${token.slice(0, -1)}${token.endsWith("A") ? "B" : "A"}`, `${token}=`, token.slice(1), "", "x".repeat(100)]) {
      expect(await codeOf(reset(kit, forged))).toBe("link.invalid");
    }
    expect(await codeOf(reset(kit, token, "ann@example.com"))).toBe("password.unsuitable");
    expect(await codeOf(reset(kit, token))).toBe("ok");
  });

  it("refuses a link that was mailed to an address which is the account's no more", async () => {
    await using kit = await signInKit();
    await kit.registered("ann");
    const token = await askFor(kit);
    await affected(kit.db, sql`update users set email = 'new@example.com'`);
    expect(await codeOf(reset(kit, token))).toBe("link.invalid");
  });

  it("gives the owner a whole budget of tries again", async () => {
    await using kit = await signInKit(true);
    await kit.registered("ann");
    const wait = waitOf(kit, loginAccountBudget);
    for (let index = 0; index < loginAccountBudget.limit; index += 1, wait(index)) await codeOf(signIn(kit, "ann", "wrong-password"));
    expect(await codeOf(signIn(kit, "ann", "securepass"))).toBe("sign_in.throttled");
    await reset(kit, await askFor(kit));
    expect(await codeOf(signIn(kit, "ann", "a new password"))).toBe("ok");
  });
});

describe("a change of password", () => {
  const change = (
    kit: SignInKit,
    who: { user: { id: string }; session: { id: string } },
    currentPassword: string,
  ): Promise<PasswordSet> => {
    const actor = { userId: who.user.id, sessionId: who.session.id } as Actor;
    return changePassword(kit, { actor, currentPassword, newPassword: "a new password" });
  };

  it("wants the current one, ends other sessions, keeps this one, and tells the owner", async () => {
    await using kit = await signInKit();
    const here = await kit.registered("ann");
    const elsewhere = await signIn(kit, "ann", "securepass");
    expect(await codeOf(change(kit, here, "wrong-password"))).toBe("password.wrong");
    expect(await change(kit, here, "securepass")).toEqual({ sessionsRevoked: 1 });
    expect([await isOver(kit, here), await isOver(kit, elsewhere)]).toEqual([false, true]);
    expect(await codeOf(signIn(kit, "ann", "a new password"))).toBe("ok");
    expect((await kit.mailTo("ann@example.com")).at(-1)?.subject).toBe("Your password was changed");
  });

  it("of two at once lets one through", async () => {
    await using kit = await signInKit();
    const here = await kit.registered("ann");
    const outcomes = await Promise.all([codeOf(change(kit, here, "securepass")), codeOf(change(kit, here, "securepass"))]);
    expect(outcomes.toSorted()).toEqual(["ok", "password.wrong"]);
  });

  it("has few tries, and using them up keeps nobody from signing in", async () => {
    await using kit = await signInKit(true);
    const here = await kit.registered("ann");
    const outcomes: string[] = [];
    for (let index = 0; index < 11; index += 1) outcomes.push(await codeOf(change(kit, here, "wrong-password")));
    expect(outcomes.at(-1)).toBe("sign_in.throttled");
    expect(await codeOf(signIn(kit, "ann", "securepass"))).toBe("ok");
  });

  it("voids links for a new one", async () => {
    await using kit = await signInKit();
    const here = await kit.registered("ann");
    const token = await askFor(kit);
    await change(kit, here, "securepass");
    expect(await codeOf(reset(kit, token))).toBe("link.invalid");
  });
});

describe("a password that is changed while somebody signs in with it", () => {
  it("was not right any more", async () => {
    await using kit = await signInKit();
    const owner = await kit.registered("ann");
    const actor = { userId: owner.user.id, sessionId: owner.session.id } as Actor;
    // Compared, then changed, then answered.
    const slow: typeof kit.hasher = {
      ...kit.hasher,
      reserve: () => {
        const place = kit.hasher.reserve();
        return {
          ...place,
          verify: async (password, stored) => {
            const isRight = await place.verify(password, stored);
            place[Symbol.dispose]();
            await changePassword(kit, { actor, currentPassword: "securepass", newPassword: "a new password" });
            return isRight;
          },
          [Symbol.dispose]: () => {},
        };
      },
    };
    expect(await codeOf(login({ ...kit, hasher: slow }, { emailOrUsername: "ann", password: "securepass", client }))).toBe(
      "credentials.invalid",
    );
    expect(await row(kit.db, sql`select count(*)::int from sessions where revoked_at is null`)).toEqual({ count: 1 });
  });
});

describe("a stored password", () => {
  it("takes the form of today when its owner signs in", async () => {
    await using kit = await signInKit();
    await kit.registered("ann");
    const hasher = createPasswordHasher({ cost: 5, threads: 1 });
    try {
      await signIn({ ...kit, hasher }, "ann", "securepass");
    } finally {
      await hasher.close();
    }
    expect(await rows(kit.db, sql`select left(password_hash, 7) as form from credentials`)).toEqual([{ form: "$2b$05$" }]);
    expect(await codeOf(signIn(kit, "ann", "securepass"))).toBe("ok");
  });
});

describe("a password that must be changed", () => {
  const first = { username: "chief", email: "chief@example.com", password: "from the environment" };

  it("begins no session: it gives a token that sets another one, once, and proves no address", async () => {
    await using kit = await signInKit();
    await ensureFirstAdmin(kit, { ...first, mustChange: true });
    const refusal = await signIn(kit, "chief", first.password).catch((error: unknown) => error);
    if (!(refusal instanceof Problem)) throw new Error("it signed in");
    expect(refusal.code).toBe("password.must_change");
    const { token = "" } = (refusal.details.extensions?.["passwordChange"] ?? {}) as { token?: string };
    expect(await codeOf(signIn(kit, "chief", "not the password"))).toBe("credentials.invalid");
    expect(await rows(kit.db, sql`select 1 from sessions`)).toEqual([]);
    await reset(kit, token, "only the chief knows");
    expect(await codeOf(reset(kit, token, "somebody else's"))).toBe("link.invalid");
    expect(await codeOf(signIn(kit, "chief", first.password))).toBe("credentials.invalid");
    expect((await signIn(kit, "chief", "only the chief knows")).user.emailVerified).toBe(false);
  });

  it("gives no token for an account that has ended, nor for a password that was changed meanwhile", async () => {
    await using kit = await signInKit();
    await ensureFirstAdmin(kit, { ...first, mustChange: true });
    const slow = { ...kit, hasher: { ...kit.hasher, reserve: () => slowly(kit) } } as SignInKit;
    expect(await codeOf(signIn(slow, "chief", first.password))).toBe("credentials.invalid");
    await affected(kit.db, sql`update users set status = 'deactivated'`);
    expect(await codeOf(signIn(kit, "chief", first.password))).toBe("credentials.invalid");
  });
});

/** While a password is compared it is set anew, to the same. */
function slowly(kit: SignInKit): ReturnType<SignInKit["hasher"]["reserve"]> {
  const place = kit.hasher.reserve();
  const verify: typeof place.verify = async (...compared) => {
    const matches = await place.verify(...compared);
    await affected(kit.db, sql`update credentials set changed_at = now() + interval '1 second'`);
    return matches;
  };
  return { verify, hash: place.hash.bind(place), [Symbol.dispose]: () => place[Symbol.dispose]() } as typeof place;
}
