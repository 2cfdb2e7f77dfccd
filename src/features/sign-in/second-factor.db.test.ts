import { describe, expect, it } from "@jest/globals";
import { generateSync } from "otplib";
import { affected, row, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { factorBudget } from "#src/features/factors/public";
import { readFactors } from "#src/features/factors/read-factors";
import { confirmTotp, offerTotp, removeTotp, renewRecoveryCodes } from "#src/features/factors/totp-factor";
import { setStatus } from "#src/features/accounts/public";
import { selectSessionState } from "#src/features/sessions/public";
import { addPasskey, offerPasskey } from "#src/features/factors/add-passkey";
import type { Actor } from "#src/kernel/actor";
import { Problem } from "#src/kernel/problem";
import { testClient } from "../../../test/kit/sessions.ts";
import { signInKit, type SignInKit } from "../../../test/kit/sign-in.ts";
import { createAuthenticator } from "../../../test/kit/authenticator.ts";
import { codeOf } from "../../../test/kit/outcome.ts";
import { answerChallenge, enrolByChallenge, type Answered } from "./answer-challenge.ts";
import { login } from "./login.ts";
import { stepUp } from "./step-up.ts";

/** A kit whose clock the test moves: codes count once, and a test cannot wait for the next. */
async function open(limits = false): Promise<SignInKit & { readonly later: () => void }> {
  const kit = await signInKit(limits);
  let steps = 0;
  const clock = { ...kit.clock, now: () => new Date(Date.now() + steps * 30_000), monotonicMs: () => kit.clock.monotonicMs() };
  return { ...kit, clock, later: () => void (steps += 1) };
}

type Kit = Awaited<ReturnType<typeof open>>;

/** What login refuses with, for an account that has a factor or must have one. */
async function challengeOf(kit: Kit, name = "ann", config = kit.config): Promise<{ code: string; challenge: string; methods: string[] }> {
  try {
    await login({ ...kit, config }, { emailOrUsername: name, password: "securepass", client: testClient });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const mfa = error.details.extensions?.["mfa"] as { challenge: string; methods: string[] } | undefined;
    return { code: error.code, challenge: mfa?.challenge ?? "", methods: mfa?.methods ?? [] };
  }
  throw new Error("no factor was asked for");
}

const answer = (kit: Kit, challenge: string, code: string): Promise<Answered> =>
  answerChallenge(kit, { challenge, code, client: testClient });
const actorOf = (who: { user: { id: string }; session: { id: string } }): Actor =>
  ({ userId: who.user.id, sessionId: who.session.id }) as Actor;

interface WithApp {
  readonly actor: Actor;
  readonly now: () => string;
  readonly recoveryCodes: readonly string[];
}

/** An account with an authenticator app; `now` gives what the app shows. */
async function withApp(kit: Kit, username = "ann"): Promise<WithApp> {
  const actor = actorOf(await kit.registered(username));
  const { secret } = await offerTotp(kit, actor);
  const now = (): string => generateSync({ secret, epoch: Math.floor(kit.clock.now().getTime() / 1000) });
  const { recoveryCodes } = await confirmTotp(kit, { actor, code: now() });
  kit.later();
  return { actor, now, recoveryCodes };
}

const wrong = (code: string): string => String((Number(code) + 1) % 1_000_000).padStart(6, "0");

describe("an authenticator app", () => {
  it("is asked for after the right password only, from its confirmation on", async () => {
    await using kit = await open();
    const actor = actorOf(await kit.registered("ann"));
    const { secret, uri } = await offerTotp(kit, actor);
    expect(uri).toContain(secret);
    await login(kit, { emailOrUsername: "ann", password: "securepass", client: testClient });
    const code = generateSync({ secret });
    expect(await codeOf(confirmTotp(kit, { actor, code: wrong(code) }))).toBe("mfa.code_wrong");
    expect((await confirmTotp(kit, { actor, code })).recoveryCodes).toHaveLength(10);
    expect(await challengeOf(kit)).toMatchObject({ code: "mfa.required", methods: ["totp", "recovery_code"] });
    const guess = login(kit, { emailOrUsername: "ann", password: "wrong-password", client: testClient });
    expect(await codeOf(guess)).toBe("credentials.invalid");
    expect(await codeOf(offerTotp(kit, actor))).toBe("totp.exists");
    expect((await kit.mailTo("ann@example.com")).at(-1)?.subject).toBe("An authenticator app was added to your account");
  });

  it("completes a sign-in, each code once, each challenge once", async () => {
    await using kit = await open();
    const { now, actor } = await withApp(kit);
    const { challenge } = await challengeOf(kit);
    const code = now();
    const answers = await Promise.all(Array.from({ length: 4 }, () => codeOf(answer(kit, challenge, code))));
    expect(answers.filter((one) => one === "ok")).toHaveLength(1);
    expect(await codeOf(answer(kit, challenge, code))).toBe("mfa.challenge_invalid");
    const second = await challengeOf(kit);
    expect(await codeOf(answer(kit, second.challenge, code))).toBe("mfa.code_wrong");
    kit.later();
    const signedIn = await answer(kit, second.challenge, now());
    expect(signedIn.user.id).toBe(actor.userId);
    expect((await selectSessionState(kit.db, signedIn.session.id))?.endedBecause).toBeNull();
  });

  it("gives a challenge five tries, however many come at once, and an account few in all", async () => {
    await using kit = await open(true);
    const { now } = await withApp(kit);
    const { challenge } = await challengeOf(kit);
    const outcomes = await Promise.all(Array.from({ length: 9 }, () => codeOf(answer(kit, challenge, wrong(now())))));
    expect(outcomes.filter((one) => one === "mfa.code_wrong")).toHaveLength(5);
    expect(await codeOf(answer(kit, challenge, now()))).not.toBe("ok");
    const seen = new Set<string>();
    // What state could not count in time this process has counted for itself: two budgets at most.
    for (let index = 0; index < 2 * factorBudget.limit && !seen.has("sign_in.throttled"); index += 1) {
      const { challenge: next } = await challengeOf(kit);
      seen.add(await codeOf(answer(kit, next, wrong(now()))));
    }
    expect(seen).toContain("sign_in.throttled");
  });

  it("is removed by a fresh session; other sessions end", async () => {
    await using kit = await open();
    const { actor, now } = await withApp(kit);
    const other = await answer(kit, (await challengeOf(kit)).challenge, now());
    await removeTotp(kit, actor);
    expect((await selectSessionState(kit.db, other.session.id))?.endedBecause).not.toBeNull();
    expect((await selectSessionState(kit.db, actor.sessionId))?.endedBecause).toBeNull();
    expect(await readFactors(kit, actor)).toEqual({ totp: null, passkeys: 0, recoveryCodesLeft: 0 });
    await login(kit, { emailOrUsername: "ann", password: "securepass", client: testClient });
  });

  it("is asked of a banned account as well", async () => {
    await using kit = await open();
    const { actor, now } = await withApp(kit);
    await inTx(kit.db, async (tx) => {
      await affected(
        tx,
        sql`insert into restrictions (id, user_id, kind, reason, reason_policy, starts_at, start_announced_at)
            values (gen_random_uuid(), ${actor.userId}::uuid, 'ban', 'spam', 'test', now(), now())`,
      );
      await setStatus(tx, actor.userId);
    });
    const { challenge } = await challengeOf(kit);
    const { refreshToken, restriction } = await answer(kit, challenge, now());
    expect([refreshToken, restriction?.kind]).toEqual([undefined, "ban"]);
  });

  it("leaves no secret in the database", async () => {
    await using kit = await open();
    const actor = actorOf(await kit.registered("ann"));
    const { secret } = await offerTotp(kit, actor);
    const { recoveryCodes } = await confirmTotp(kit, { actor, code: generateSync({ secret }) });
    const tables = await rows<{ name: string }>(kit.db, sql`select tablename as name from pg_tables where schemaname = 'public'`);
    const dumps = await Promise.all(tables.map(async ({ name }) => JSON.stringify(await kit.db.raw(`select t::text from ?? t`, [name]))));
    const dump = dumps.join("\n");
    expect(dump).toContain("ann@example.com");
    const hidden = [secret, ...recoveryCodes, ...recoveryCodes.map((code) => code.replace("-", ""))];
    for (const text of hidden) {
      for (const form of ["utf8", "hex", "base64"] as const) expect(dump).not.toContain(Buffer.from(text).toString(form));
    }
  });
});

describe("recovery codes", () => {
  it("stand in for the app, each once, and their use is told", async () => {
    await using kit = await open();
    const { actor, recoveryCodes } = await withApp(kit);
    const [code = ""] = recoveryCodes;
    const first = await challengeOf(kit);
    await answer(kit, first.challenge, code.toLowerCase());
    const second = await challengeOf(kit);
    expect(await codeOf(answer(kit, second.challenge, code))).toBe("mfa.code_wrong");
    expect(await readFactors(kit, actor)).toMatchObject({ recoveryCodesLeft: 9 });
    expect((await kit.mailTo("ann@example.com")).at(-1)?.subject).toBe("One of your recovery codes was used");
  });

  it("are replaced as a whole", async () => {
    await using kit = await open();
    const { actor, recoveryCodes } = await withApp(kit);
    const { recoveryCodes: renewed } = await renewRecoveryCodes(kit, actor);
    const { challenge } = await challengeOf(kit);
    expect(await codeOf(answer(kit, challenge, recoveryCodes[1] ?? ""))).toBe("mfa.code_wrong");
    expect(await codeOf(answer(kit, challenge, renewed[1] ?? ""))).toBe("ok");
  });

  it("of another account open nothing", async () => {
    await using kit = await open();
    const ann = await withApp(kit);
    const bob = await withApp(kit, "bob");
    const { challenge } = await challengeOf(kit, "bob");
    expect(await codeOf(answer(kit, challenge, ann.recoveryCodes[0] ?? ""))).toBe("mfa.code_wrong");
    expect(await codeOf(answer(kit, challenge, bob.recoveryCodes[0] ?? ""))).toBe("ok");
  });
});

describe("a role that must have a factor", () => {
  it("adds one at sign-in, and gets no session before", async () => {
    await using kit = await open();
    await kit.registered("ann");
    await affected(kit.db, sql`update users set roles = '{user,moderator}'`);
    const config = { ...kit.config, mfaRequiredRoles: ["moderator", "admin"] as const };
    const { code, challenge } = await challengeOf(kit, "ann", config);
    expect(code).toBe("mfa.enrolment_required");
    expect(await codeOf(answer(kit, challenge, "123456"))).toBe("totp.not_found");
    const { secret } = await enrolByChallenge(kit, { challenge });
    const answered = await answer(kit, challenge, generateSync({ secret }));
    expect(answered.recoveryCodes).toHaveLength(10);
    expect(answered.accessToken).not.toBe("");
    expect((await challengeOf(kit, "ann", config)).code).toBe("mfa.required");
  });

  it("is asked for the factor that was added while a challenge to add one waited", async () => {
    await using kit = await open();
    const actor = actorOf(await kit.registered("ann"));
    await affected(kit.db, sql`update users set roles = '{user,moderator}'`);
    const config = { ...kit.config, mfaRequiredRoles: ["moderator", "admin"] as const };
    const { challenge } = await challengeOf(kit, "ann", config);
    const authenticator = createAuthenticator();
    await addPasskey(kit, { actor, name: "Mine", response: authenticator.create(await offerPasskey(kit, actor)) });
    expect(await codeOf(enrolByChallenge(kit, { challenge }))).toBe("mfa.challenge_invalid");
    expect(await codeOf(answer(kit, challenge, "123456"))).toBe("mfa.challenge_invalid");
    expect((await challengeOf(kit, "ann", config)).code).toBe("mfa.required");
  });

  it("cannot have its app replaced by whoever knows the password", async () => {
    await using kit = await open();
    await withApp(kit);
    const { challenge } = await challengeOf(kit);
    expect(await codeOf(enrolByChallenge(kit, { challenge }))).toBe("mfa.challenge_invalid");
  });
});

describe("a challenge", () => {
  it("is no other token, and no other token is one", async () => {
    await using kit = await open();
    const { now } = await withApp(kit);
    const [mail] = await kit.mailTo("ann@example.com");
    expect(await codeOf(answer(kit, mail?.token ?? "", now()))).toBe("mfa.challenge_invalid");
    for (const text of ["", "x", "x".repeat(54)]) expect(await codeOf(answer(kit, text, now()))).toBe("mfa.challenge_invalid");
    const { challenge } = await challengeOf(kit);
    await affected(kit.db, sql`update one_time_tokens set expires_at = now() where purpose = 'mfa_challenge'`);
    expect(await codeOf(answer(kit, challenge, now()))).toBe("mfa.challenge_invalid");
  });
});

describe("step-up", () => {
  it("makes an old session fresh for changes of factors: by the password, and by a code where there is an app", async () => {
    await using kit = await open();
    const { actor, now } = await withApp(kit);
    await affected(kit.db, sql`update sessions set created_at = now() - interval '11 minutes', authenticated_at = null`);
    expect(await codeOf(removeTotp(kit, actor))).toBe("step_up.required");
    expect(await codeOf(renewRecoveryCodes(kit, actor))).toBe("step_up.required");
    expect(await codeOf(stepUp(kit, { actor, password: "securepass" }))).toBe("mfa.code_wrong");
    expect(await codeOf(stepUp(kit, { actor, password: "wrong-password", code: now() }))).toBe("password.wrong");
    await stepUp(kit, { actor, password: "securepass", code: now() });
    expect(await codeOf(renewRecoveryCodes(kit, actor))).toBe("ok");
    expect(await row(kit.db, sql`select authenticated_at is not null as fresh from sessions where id = ${actor.sessionId}::uuid`)).toEqual({
      fresh: true,
    });
  });
});
