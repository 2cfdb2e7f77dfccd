import { describe, expect, it } from "@jest/globals";
import { generateSync } from "otplib";
import { affected, row, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { setStatus } from "#src/features/accounts/public";
import { addPasskey, offerPasskey, type AddedPasskey } from "#src/features/factors/add-passkey";
import { listPasskeys, removePasskey, renamePasskey } from "#src/features/factors/own-passkeys";
import { removeFactors } from "#src/features/factors/public";
import { readFactors } from "#src/features/factors/read-factors";
import { confirmTotp, offerTotp, removeTotp, renewRecoveryCodes } from "#src/features/factors/totp-factor";
import { selectSessionState } from "#src/features/sessions/public";
import type { Actor } from "#src/kernel/actor";
import type { LogFields } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { createAuthenticator, type Authenticator, type Bent } from "../../../test/kit/authenticator.ts";
import { testClient } from "../../../test/kit/sessions.ts";
import { signInKit, type SignInKit } from "../../../test/kit/sign-in.ts";
import { codeOf } from "../../../test/kit/outcome.ts";
import { answerChallenge } from "./answer-challenge.ts";
import type { LoggedIn } from "./begin-or-ask.ts";
import { login } from "./login.ts";
import { answerByPasskey, askByChallenge } from "./mfa-passkey.ts";
import { loginByPasskey, offerPasskeyLogin } from "./passkey-login.ts";

const actorOf = (who: { user: { id: string }; session: { id: string } }): Actor =>
  ({ userId: who.user.id, sessionId: who.session.id }) as Actor;

interface WithPasskey extends AddedPasskey {
  readonly actor: Actor;
  readonly device: Authenticator;
}

async function added(kit: SignInKit, actor: Actor, device: Authenticator, bent: Bent = {}): Promise<AddedPasskey> {
  return await addPasskey(kit, { actor, name: "Telephone", response: device.create(await offerPasskey(kit, actor), bent) });
}

/** An account with a passkey. */
async function withPasskey(kit: SignInKit, username = "ann", device = createAuthenticator()): Promise<WithPasskey> {
  const actor = actorOf(await kit.registered(username));
  return { actor, device, ...(await added(kit, actor, device)) };
}

async function signIn(kit: SignInKit, device: Authenticator, bent: Bent = {}): Promise<LoggedIn> {
  return await loginByPasskey(kit, { response: device.get(await offerPasskeyLogin(kit), bent), client: testClient });
}

/** What login by password refuses with. */
async function asked(kit: SignInKit, name = "ann", config = kit.config): Promise<{ code: string; challenge: string; methods: string[] }> {
  try {
    await login({ ...kit, config }, { emailOrUsername: name, password: "securepass", client: testClient });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const mfa = error.details.extensions?.["mfa"] as { challenge: string; methods: string[] } | undefined;
    return { code: error.code, challenge: mfa?.challenge ?? "", methods: mfa?.methods ?? [] };
  }
  throw new Error("no factor was asked for");
}

const byPassword = (kit: SignInKit): Promise<LoggedIn> =>
  login(kit, { emailOrUsername: "ann", password: "securepass", client: testClient });
const subjects = async (kit: SignInKit): Promise<(string | undefined)[]> =>
  (await kit.mailTo("ann@example.com")).map(({ subject }) => subject);

/** Answers that lie, and would open something if they were believed. */
const LIES: readonly (readonly [string, Bent])[] = [
  ["another page", { origin: "https://app.example.org" }],
  ["a page whose name begins like ours", { origin: "https://app.example.com.example.org" }],
  ["no page of ours for want of the name for any", { origin: "localhost-any-port" }],
  ["a page in a frame of another site", { crossOrigin: true }],
  ["another site", { rpId: "example.org" }],
  ["nobody at the authenticator", { userPresent: false, userVerified: false }],
];

describe("a passkey", () => {
  it("signs in without a name, and is all that is asked for", async () => {
    await using kit = await signInKit();
    const { actor, device, passkey, recoveryCodes } = await withPasskey(kit);
    expect([passkey.id, passkey.name, passkey.lastUsedAt]).toEqual([device.held[0]?.id, "Telephone", null]);
    expect(recoveryCodes).toHaveLength(10);
    expect(await subjects(kit)).toContain("A passkey was added to your account");
    const options = await offerPasskeyLogin(kit);
    expect(options).toMatchObject({ rpId: "localhost", allowCredentials: [], userVerification: "required" });
    const config = { ...kit.config, mfaRequiredRoles: ["user"] as const };
    const entered = await loginByPasskey({ ...kit, config }, { response: device.get(options), client: testClient });
    expect(entered.user.id).toBe(actor.userId);
    expect(entered.refreshToken).toBeDefined();
    expect((await listPasskeys(kit, actor))[0]?.lastUsedAt).not.toBeNull();
    expect(kit.outcomes).toContain("login accepted");
  });

  it("is not added by an answer that is not right", async () => {
    await using kit = await signInKit();
    const actor = actorOf(await kit.registered("ann"));
    const lies: typeof LIES = [
      ...LIES,
      ["no finger, face or PIN", { userVerified: false }],
      ["an answer of signing in", { type: "webauthn.get" }],
    ];
    for (const [what, bent] of lies) {
      expect([what, await codeOf(added(kit, actor, createAuthenticator(), bent))]).toEqual([what, "passkey.invalid"]);
    }
    expect(await listPasskeys(kit, actor)).toEqual([]);
    expect(await codeOf(added(kit, actor, createAuthenticator({ origin: "https://app.example.com" })))).toBe("ok");
    const anyPort = { ...kit, config: { ...kit.config, webauthn: { rpId: "localhost", origins: ["localhost-any-port"] } } };
    expect(await codeOf(added(anyPort, actor, createAuthenticator({ origin: "http://localhost:5173" })))).toBe("ok");
    expect(await codeOf(added(anyPort, actor, createAuthenticator({ origin: "http://localhost.example.org:5173" })))).toBe(
      "passkey.invalid",
    );
  });

  it("is added whatever its maker states of it, and nobody is asked about that", async () => {
    await using kit = await signInKit();
    const actor = actorOf(await kit.registered("ann"));
    for (const format of ["packed", "apple", "fido-u2f", "what-comes-next"]) {
      expect(await codeOf(added(kit, actor, createAuthenticator(), { format }))).toBe("ok");
    }
  });

  it("is added by the account and session that asked, once, for each credential one", async () => {
    await using kit = await signInKit();
    const ann = actorOf(await kit.registered("ann"));
    const bob = actorOf(await kit.registered("bob"));
    const annElsewhere = actorOf(await byPassword(kit));
    const device = createAuthenticator();
    const response = device.create(await offerPasskey(kit, ann));
    const input = { name: "Telephone", response };
    for (const actor of [bob, annElsewhere]) expect(await codeOf(addPasskey(kit, { ...input, actor }))).toBe("passkey.challenge_invalid");
    const outcomes = await Promise.all(Array.from({ length: 3 }, () => codeOf(addPasskey(kit, { ...input, actor: ann }))));
    expect(outcomes.filter((one) => one === "ok")).toHaveLength(1);
    expect(await codeOf(addPasskey(kit, { ...input, actor: ann }))).toBe("passkey.challenge_invalid");
    const again = createAuthenticator().create(await offerPasskey(kit, bob), { id: response.id });
    expect(await codeOf(addPasskey(kit, { actor: bob, name: "Mine", response: again }))).toBe("passkey.exists");
    expect((await offerPasskey(kit, ann)).excludeCredentials.map(({ id }) => id)).toEqual([response.id]);
    for (const challenge of [(await offerPasskeyLogin(kit)).challenge, "x".repeat(54), ""]) {
      const other = createAuthenticator().create({ ...(await offerPasskey(kit, ann)), challenge });
      expect(await codeOf(addPasskey(kit, { ...input, actor: ann, response: other }))).toBe("passkey.challenge_invalid");
    }
  });

  it("is not added with a key that is too weak", async () => {
    await using kit = await signInKit();
    const actor = actorOf(await kit.registered("ann"));
    expect(await codeOf(added(kit, actor, createAuthenticator({ algorithm: "RS256", bits: 1024 })))).toBe("passkey.invalid");
  });

  it("wants a fresh session to be added and removed", async () => {
    await using kit = await signInKit();
    const { actor, passkey } = await withPasskey(kit);
    const response = createAuthenticator().create(await offerPasskey(kit, actor));
    await affected(kit.db, sql`update sessions set created_at = now() - interval '11 minutes'`);
    expect(await codeOf(offerPasskey(kit, actor))).toBe("step_up.required");
    expect(await codeOf(addPasskey(kit, { actor, name: "x", response }))).toBe("step_up.required");
    expect(await codeOf(removePasskey(kit, { actor, id: passkey.id }))).toBe("step_up.required");
  });

  it("is one of twenty at most", async () => {
    await using kit = await signInKit();
    const actor = actorOf(await kit.registered("ann"));
    const late = await offerPasskey(kit, actor);
    for (let index = 0; index < 20; index += 1) await added(kit, actor, createAuthenticator());
    expect(await codeOf(offerPasskey(kit, actor))).toBe("passkey.too_many");
    const response = createAuthenticator().create(late);
    expect(await codeOf(addPasskey(kit, { actor, name: "x", response }))).toBe("passkey.too_many");
  });

  it("is named and removed by its owner only; other sessions end with it, and the recovery codes with the last factor", async () => {
    await using kit = await signInKit();
    const { actor, device, passkey } = await withPasskey(kit);
    const bob = actorOf(await kit.registered("bob"));
    expect(await codeOf(renamePasskey(kit, { actor: bob, id: passkey.id, name: "Bob's" }))).toBe("passkey.not_found");
    expect(await codeOf(removePasskey(kit, { actor: bob, id: passkey.id }))).toBe("passkey.not_found");
    expect((await renamePasskey(kit, { actor, id: passkey.id, name: "Old telephone" })).name).toBe("Old telephone");
    const other = await signIn(kit, device);
    await removePasskey(kit, { actor, id: passkey.id });
    expect((await selectSessionState(kit.db, other.session.id))?.endedBecause).not.toBeNull();
    expect((await selectSessionState(kit.db, actor.sessionId))?.endedBecause).toBeNull();
    expect(await codeOf(signIn(kit, device))).toBe("passkey.invalid");
    expect(await readFactors(kit, actor)).toEqual({ totp: null, passkeys: 0, recoveryCodesLeft: 0 });
    await byPassword(kit);
    expect(await subjects(kit)).toContain("A passkey of your account was removed");
  });
});

describe("signing in with a passkey", () => {
  it("is refused where the answer is not right", async () => {
    await using kit = await signInKit();
    const { actor, device } = await withPasskey(kit);
    const { device: bobs, actor: bob } = await withPasskey(kit, "bob");
    const handleOf = (one: Authenticator): string => one.held[0]?.userHandle ?? "";
    const lies: typeof LIES = [
      ...LIES,
      ["no finger, face or PIN", { userVerified: false }],
      ["an answer of adding", { type: "webauthn.create" }],
      ["nobody's passkey", { id: "AAAA" }],
      ["somebody else's passkey", { id: bobs.held[0]?.id ?? "" }],
      ["somebody else's passkey and name", { id: bobs.held[0]?.id ?? "", userHandle: handleOf(bobs) }],
      ["somebody else's name", { userHandle: handleOf(bobs) }],
      ["no name", { userHandle: null }],
    ];
    for (const [what, bent] of lies) {
      expect([what, await codeOf(signIn(kit, device, bent))]).toEqual([what, "passkey.invalid"]);
    }
    expect((await signIn(kit, device)).user.id).toBe(actor.userId);
    expect((await signIn(kit, bobs)).user.id).toBe(bob.userId);
  });

  it("takes each challenge once, of its own purpose, in time", async () => {
    await using kit = await signInKit();
    const { actor, device } = await withPasskey(kit);
    const { device: bobs } = await withPasskey(kit, "bob");
    const options = await offerPasskeyLogin(kit);
    const enter = (response = device.get(options)): Promise<string> => codeOf(loginByPasskey(kit, { response, client: testClient }));
    const outcomes = await Promise.all([enter(), enter(), enter(bobs.get(options)), enter(bobs.get(options))]);
    expect(outcomes.filter((one) => one === "ok")).toHaveLength(1);
    expect(outcomes.filter((one) => one === "passkey.challenge_invalid")).toHaveLength(3);
    expect(await enter()).toBe("passkey.challenge_invalid");
    const { challenge: ofAdding } = await offerPasskey(kit, actor);
    const { challenge: ofPassword } = await asked(kit);
    for (const challenge of [ofAdding, ofPassword, "x", "x".repeat(54)]) {
      expect(await enter(device.get({ ...options, challenge }))).toBe("passkey.challenge_invalid");
    }
    const late = await offerPasskeyLogin(kit);
    await affected(kit.db, sql`update one_time_tokens set expires_at = now() where purpose = 'passkey_login'`);
    expect(await enter(device.get(late))).toBe("passkey.challenge_invalid");
  });

  it("refuses a counter that does not go on, and tells the owner once", async () => {
    await using kit = await signInKit();
    const logged: LogFields[] = [];
    const watched = { ...kit, log: { ...kit.log, info: (fields: LogFields) => void logged.push(fields) } };
    const { actor, device, passkey } = await withPasskey(kit);
    await signIn(kit, device, { counter: 4_000_000_000 });
    const before = (await rowOf(kit)).sessions;
    const response = device.get(await offerPasskeyLogin(kit), { counter: 4_000_000_000 });
    expect(await codeOf(loginByPasskey(watched, { response, client: testClient }))).toBe("passkey.invalid");
    expect(await codeOf(loginByPasskey(watched, { response, client: testClient }))).toBe("passkey.challenge_invalid");
    expect(await rowOf(kit)).toEqual({ sessions: before, counter: "4000000000" });
    expect(logged).toContainEqual(expect.objectContaining({ kind: "passkey.copied", userId: actor.userId }));
    const told = (await kit.mailTo("ann@example.com")).filter(({ subject }) => subject === "One of your passkeys may have been copied");
    expect(told).toHaveLength(1);
    expect(told[0]?.text).toContain(passkey.name);
    // What is signed by nobody's key tells nobody anything.
    const forged = createAuthenticator();
    forged.create(await offerPasskey(kit, actor));
    const bent = { id: passkey.id, counter: 1, userHandle: device.held[0]?.userHandle ?? "" };
    expect(await codeOf(signIn(kit, forged, bent))).toBe("passkey.invalid");
    expect((await subjects(kit)).filter((subject) => subject?.includes("copied") === true)).toHaveLength(1);
    expect(await codeOf(signIn(kit, device, { counter: 4_000_000_001 }))).toBe("ok");
    expect(await codeOf(signIn(kit, device, { counter: 0 }))).toBe("passkey.invalid");
  });

  it.each(["ES256", "EdDSA", "RS256"] as const)("takes keys of every kind that is asked for: %s", async (algorithm) => {
    await using kit = await signInKit();
    const { device } = await withPasskey(kit, "ann", createAuthenticator({ algorithm }));
    expect(await codeOf(signIn(kit, device))).toBe("ok");
  });

  it("takes passkeys that do not count, as synced ones", async () => {
    await using kit = await signInKit();
    const { device } = await withPasskey(kit, "ann", createAuthenticator({ counts: false }));
    for (let times = 0; times < 3; times += 1) expect(await codeOf(signIn(kit, device))).toBe("ok");
  });

  it("gives a banned account the short session, and one that has ended nothing", async () => {
    await using kit = await signInKit();
    const { actor, device } = await withPasskey(kit);
    await inTx(kit.db, async (tx) => {
      await affected(
        tx,
        sql`insert into restrictions (id, user_id, kind, reason, reason_policy, starts_at, start_announced_at)
            values (gen_random_uuid(), ${actor.userId}::uuid, 'ban', 'spam', 'test', now(), now())`,
      );
      await setStatus(tx, actor.userId);
    });
    const { refreshToken, restriction } = await signIn(kit, device);
    expect([refreshToken, restriction?.kind]).toEqual([undefined, "ban"]);
    await affected(kit.db, sql`update users set status = 'deactivated'`);
    expect(await codeOf(signIn(kit, device))).toBe("credentials.invalid");
  });
});

describe("a passkey as the second factor", () => {
  it("is asked for after the password, and completes the sign-in once", async () => {
    await using kit = await signInKit();
    const { device } = await withPasskey(kit);
    const { code, challenge, methods } = await asked(kit);
    expect([code, methods]).toEqual(["mfa.required", ["passkey", "recovery_code"]]);
    const options = await askByChallenge(kit, { challenge });
    expect(options.allowCredentials.map(({ id }) => id)).toEqual([device.held[0]?.id]);
    // The password was the other factor: a key that is only touched is enough, and so is one that names nobody.
    const answers = await Promise.all(
      [1, 2].map(() =>
        codeOf(
          answerByPasskey(kit, { challenge, response: device.get(options, { userVerified: false, userHandle: null }), client: testClient }),
        ),
      ),
    );
    expect(answers.filter((one) => one === "ok")).toHaveLength(1);
    expect(await codeOf(answerByPasskey(kit, { challenge, response: device.get(options), client: testClient }))).toBe(
      "mfa.challenge_invalid",
    );
    expect((await rowOf(kit)).sessions).toBe(2);
  });

  it("is refused where the answer is not right, five times at most", async () => {
    await using kit = await signInKit();
    const { device } = await withPasskey(kit);
    const { device: bobs } = await withPasskey(kit, "bob");
    const bobAsked = await asked(kit, "bob");
    const answerTo = (challenge: string, response: ReturnType<Authenticator["get"]>): Promise<string> =>
      codeOf(answerByPasskey(kit, { challenge, response, client: testClient }));
    for (const [what, bent] of LIES) {
      const { challenge } = await asked(kit);
      const options = await askByChallenge(kit, { challenge });
      expect([what, await answerTo(challenge, device.get(options, bent))]).toEqual([what, "passkey.invalid"]);
    }
    const { challenge } = await asked(kit);
    const options = await askByChallenge(kit, { challenge });
    const anyOf = { ...options, allowCredentials: [] };
    expect(await answerTo(challenge, bobs.get(anyOf))).toBe("passkey.invalid");
    expect(await answerTo(challenge, device.get({ ...options, challenge: bobAsked.challenge }))).toBe("passkey.invalid");
    expect(await answerTo(challenge, device.get({ ...options, challenge: (await offerPasskeyLogin(kit)).challenge }))).toBe(
      "passkey.invalid",
    );
    expect(await answerTo(bobAsked.challenge, device.get({ ...anyOf, challenge: bobAsked.challenge }))).toBe("passkey.invalid");
    for (let tries = 3; tries < 5; tries += 1) await answerTo(challenge, device.get(options, { origin: "https://example.org" }));
    expect(await answerTo(challenge, device.get(options))).toBe("mfa.challenge_invalid");
    for (const other of [(await offerPasskeyLogin(kit)).challenge, "x"]) {
      expect(await codeOf(askByChallenge(kit, { challenge: other }))).toBe("mfa.challenge_invalid");
      expect(await answerTo(other, device.get({ ...options, challenge: other }))).toBe("mfa.challenge_invalid");
    }
  });

  it("tells of a copy as well, and gives no session", async () => {
    await using kit = await signInKit();
    const { device } = await withPasskey(kit);
    await signIn(kit, device, { counter: 9 });
    const before = (await rowOf(kit)).sessions;
    const { challenge } = await asked(kit);
    const response = device.get(await askByChallenge(kit, { challenge }), { counter: 9 });
    expect(await codeOf(answerByPasskey(kit, { challenge, response, client: testClient }))).toBe("passkey.invalid");
    expect((await rowOf(kit)).sessions).toBe(before);
    expect(await subjects(kit)).toContain("One of your passkeys may have been copied");
  });

  it("stands beside an app: either is asked for, the codes stay until both are gone", async () => {
    await using kit = await signInKit();
    const { actor, passkey, recoveryCodes = [] } = await withPasskey(kit);
    const { challenge } = await asked(kit);
    expect(await codeOf(answerChallenge(kit, { challenge, code: recoveryCodes[0] ?? "", client: testClient }))).toBe("ok");
    expect(await codeOf(askByChallenge(kit, { challenge }))).toBe("mfa.challenge_invalid");
    expect((await renewRecoveryCodes(kit, actor)).recoveryCodes).toHaveLength(10);
    const { secret } = await offerTotp(kit, actor);
    await confirmTotp(kit, { actor, code: generateSync({ secret }) });
    expect((await asked(kit)).methods).toEqual(["totp", "passkey", "recovery_code"]);
    expect((await added(kit, actor, createAuthenticator())).recoveryCodes).toBeUndefined();
    await removeTotp(kit, actor);
    await removePasskey(kit, { actor, id: passkey.id });
    expect(await readFactors(kit, actor)).toEqual({ totp: null, passkeys: 1, recoveryCodesLeft: 10 });
    expect((await asked(kit)).methods).toEqual(["passkey", "recovery_code"]);
    expect(await inTx(kit.db, (tx) => removeFactors(tx, actor.userId))).toEqual(["passkey"]);
    await byPassword(kit);
    expect(await codeOf(inTx(kit.db, (tx) => removeFactors(tx, actor.userId)))).toBe("totp.not_found");
  });

  it("is enough for a role that must have a factor", async () => {
    await using kit = await signInKit();
    const config = { ...kit.config, mfaRequiredRoles: ["user"] as const };
    await kit.registered("bob");
    expect((await asked(kit, "bob", config)).code).toBe("mfa.enrolment_required");
    await withPasskey(kit);
    expect((await asked(kit, "ann", config)).code).toBe("mfa.required");
  });
});

async function rowOf(kit: SignInKit): Promise<{ readonly sessions: number; readonly counter: string }> {
  const found = await row<{ sessions: number; counter: string }>(
    kit.db,
    sql`select (select count(*)::int from sessions) as sessions, (select max(counter)::text from passkeys) as counter`,
  );
  if (found === undefined) throw new Error("no row");
  return found;
}
