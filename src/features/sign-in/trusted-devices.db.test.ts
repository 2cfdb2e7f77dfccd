/** A device that is trusted signs in by the password alone: for its days, for its account, until something changes. */

import { describe, expect, it } from "@jest/globals";
import { generateSync } from "otplib";
import { affected, rows, sql } from "#src/db/sql";
import { addPasskey, offerPasskey } from "#src/features/factors/add-passkey";
import { removePasskey } from "#src/features/factors/own-passkeys";
import { removeFactors } from "#src/features/factors/public";
import { confirmTotp, offerTotp, removeTotp, renewRecoveryCodes } from "#src/features/factors/totp-factor";
import { refresh } from "#src/features/sessions/refresh";
import { sessionsSweeps } from "#src/features/sessions/sessions.jobs";
import { forgetTrustedDevice, forgetTrustedDevices, listTrustedDevices } from "#src/features/sessions/trusted-devices";
import { inTx } from "#src/db/tx";
import type { Actor } from "#src/kernel/actor";
import { Problem } from "#src/kernel/problem";
import { createAuthenticator, type Authenticator } from "../../../test/kit/authenticator.ts";
import { codeOf } from "../../../test/kit/outcome.ts";
import { testClient } from "../../../test/kit/sessions.ts";
import { signInKit, type SignInKit } from "../../../test/kit/sign-in.ts";
import { answerChallenge, type Answered } from "./answer-challenge.ts";
import type { LoggedIn } from "./begin-or-ask.ts";
import { requestEmailSignIn, signInByEmail } from "./email-sign-in.ts";
import { forgotPassword } from "./forgot-password.ts";
import { login } from "./login.ts";
import { answerByPasskey, askByChallenge } from "./mfa-passkey.ts";
import { loginByPasskey, offerPasskeyLogin } from "./passkey-login.ts";
import { changePassword, resetPassword } from "./set-password.ts";
import { stepUp } from "./step-up.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;
const FIREFOX = "Mozilla/5.0 (Windows NT 10.0; rv:128.0) Gecko/20100101 Firefox/128.0";

/** A kit whose clock the test moves: codes count once, and a test cannot wait for the next. */
async function open(): Promise<SignInKit & { readonly later: () => void }> {
  const kit = await signInKit();
  let steps = 0;
  const clock = { ...kit.clock, now: () => new Date(Date.now() + steps * 30_000), monotonicMs: () => kit.clock.monotonicMs() };
  return { ...kit, clock, later: () => void (steps += 1) };
}

type Kit = Awaited<ReturnType<typeof open>>;

const actorOf = (who: { user: { id: string }; session: { id: string } }): Actor =>
  ({ userId: who.user.id, sessionId: who.session.id }) as Actor;

/** Signs in by the password, on a device where one is given. */
const byPassword = (kit: SignInKit, deviceToken?: string, name = "ann", password = "securepass"): Promise<LoggedIn> =>
  login(kit, { emailOrUsername: name, password, deviceToken, client: testClient });

async function challengeOf(kit: SignInKit, name = "ann"): Promise<string> {
  const refusal = await byPassword(kit, undefined, name).catch((error: unknown) => error);
  const mfa = refusal instanceof Problem ? (refusal.details.extensions?.["mfa"] as { challenge: string } | undefined) : undefined;
  if (mfa === undefined) throw new Error("no factor was asked for");
  return mfa.challenge;
}

interface Owner {
  /** A fresh session elsewhere. */
  readonly actor: Actor;
  readonly code: () => string;
  readonly trusted: Answered;
}

/** An account with an app and a device that it trusts. */
async function withTrust(kit: Kit, name = "ann"): Promise<Owner> {
  const actor = actorOf(await kit.proved(name));
  const { secret } = await offerTotp(kit, actor);
  const code = (): string => {
    kit.later();
    return generateSync({ secret, epoch: Math.floor(kit.clock.now().getTime() / 1000) });
  };
  await confirmTotp(kit, { actor, code: code() });
  return { actor, code, trusted: await trust(kit, name, code()) };
}

async function trust(kit: Kit, name: string, code: string): Promise<Answered> {
  const challenge = await challengeOf(kit, name);
  return await answerChallenge(kit, { challenge, code, trustDevice: true, client: { ...testClient, userAgent: FIREFOX } });
}

describe("a trusted device", () => {
  it("signs in by the password alone for its days, and is told so", async () => {
    await using kit = await open();
    const { actor, trusted } = await withTrust(kit);
    const days = (Date.parse(trusted.trustedUntil ?? "") - Date.now()) / DAY_MS;
    expect(Math.round(days)).toBe(30);
    expect(await codeOf(byPassword(kit))).toBe("mfa.required");
    const again = await byPassword(kit, trusted.deviceToken);
    expect([again.deviceToken, again.trustedUntil]).toEqual([trusted.deviceToken, trusted.trustedUntil]);
    expect(await codeOf(byPassword(kit, trusted.deviceToken, "ann", "wrong-password"))).toBe("credentials.invalid");
    const [device] = await listTrustedDevices(kit, actor);
    expect(device).toMatchObject({ device: "Firefox on Windows", trustedUntil: trusted.trustedUntil });
    expect(device?.lastUsedAt).not.toBeNull();

    await affected(kit.db, sql`update trusted_devices set expires_at = now() - interval '1 second'`);
    expect(await codeOf(byPassword(kit, trusted.deviceToken))).toBe("mfa.required");
    expect(await listTrustedDevices(kit, actor)).toEqual([]);
    await sessionsSweeps[0]?.run(kit, new AbortController().signal);
    expect(await rows(kit.db, sql`select id from trusted_devices`)).toEqual([]);
  });

  it("is so only where its owner said so, and by a factor that was right", async () => {
    await using kit = await open();
    const { code, trusted } = await withTrust(kit);
    const plain = await answerChallenge(kit, { challenge: await challengeOf(kit), code: code(), client: testClient });
    expect(plain.trustedUntil).toBeUndefined();
    expect(await codeOf(byPassword(kit, plain.deviceToken))).toBe("mfa.required");
    const challenge = await challengeOf(kit);
    expect(await codeOf(answerChallenge(kit, { challenge, code: "000000", trustDevice: true, client: testClient }))).toBe("mfa.code_wrong");
    expect(await rows(kit.db, sql`select id from trusted_devices`)).toHaveLength(1);
    expect(await codeOf(byPassword(kit, trusted.deviceToken))).toBe("ok");
  });

  it("is not fresh: what wants a proof wants the factor", async () => {
    await using kit = await open();
    const { trusted, code } = await withTrust(kit);
    const here = actorOf(await byPassword(kit, trusted.deviceToken));
    expect(await codeOf(removeTotp(kit, here))).toBe("step_up.required");
    expect(await codeOf(renewRecoveryCodes(kit, here))).toBe("step_up.required");
    expect(await codeOf(stepUp(kit, { actor: here, password: "securepass" }))).toBe("mfa.code_wrong");
    await stepUp(kit, { actor: here, password: "securepass", code: code() });
    expect(await codeOf(removeTotp(kit, here))).toBe("ok");
  });

  it("stands in for a factor beside the password only, not beside a mailed code", async () => {
    await using kit = await open();
    const { trusted } = await withTrust(kit);
    await requestEmailSignIn(kit, { email: "ann@example.com", client: testClient });
    const mail = (await kit.mailTo("ann@example.com")).findLast(({ code }) => code !== "");
    const proof = { email: "ann@example.com", code: mail?.code ?? "" };
    expect(await codeOf(signInByEmail(kit, { proof, deviceToken: trusted.deviceToken, client: testClient }))).toBe("mfa.required");
  });

  it("is trusted by a passkey as well", async () => {
    await using kit = await open();
    const device = createAuthenticator();
    const actor = actorOf(await kit.registered("ann"));
    await addPasskey(kit, { actor, name: "Key", response: device.create(await offerPasskey(kit, actor)) });
    const challenge = await challengeOf(kit);
    const response = device.get(await askByChallenge(kit, { challenge }));
    const trusted = await answerByPasskey(kit, { challenge, response, trustDevice: true, client: testClient });
    expect(await codeOf(byPassword(kit, trusted.deviceToken))).toBe("ok");
  });

  it("is none where the operator wants none, and for roles that must have a factor, also after it was trusted", async () => {
    await using kit = await open();
    const { code, trusted } = await withTrust(kit);
    const off = { ...kit, config: { ...kit.config, trustedDeviceDays: 0 } };
    const strict = { ...kit, config: { ...kit.config, mfaRequiredRoles: ["user"] as const } };
    for (const other of [off, strict]) {
      expect(await codeOf(byPassword(other, trusted.deviceToken))).toBe("mfa.required");
      const answered = await trust(other, "ann", code());
      expect(answered.trustedUntil).toBeUndefined();
      expect(await codeOf(byPassword(kit, answered.deviceToken))).toBe("mfa.required");
    }
    expect(await codeOf(byPassword(kit, trusted.deviceToken))).toBe("ok");
  });
});

describe("the token of a trusted device", () => {
  it("is good for its own account, whole, and not to be made from a dump", async () => {
    await using kit = await open();
    const { trusted } = await withTrust(kit);
    await withTrust(kit, "bob");
    const token = trusted.deviceToken;
    expect(await codeOf(byPassword(kit, token, "bob"))).toBe("mfa.required");
    const [kid, body, mac] = token.split(".");
    const older = kit.deviceTokens.make(trusted.user.id);
    for (const forged of [`${token}x`, `${kid}.${body}.${"A".repeat(43)}`, `${kid}.${"A".repeat(43)}.${mac}`, older, ""]) {
      expect(await codeOf(byPassword(kit, forged))).toBe("mfa.required");
    }
    const [dumped] = await rows<{ text: string }>(kit.db, sql`select string_agg(t::text, ' ') as text from trusted_devices t`);
    const device = kit.deviceTokens.read(token);
    for (const secret of [
      body ?? "",
      mac ?? "",
      device?.deviceId ?? "",
      Buffer.from(device?.deviceId ?? "", "base64url").toString("hex"),
    ]) {
      expect(dumped?.text).not.toContain(secret);
    }
    const [{ hash } = { hash: "" }] = await rows<{ hash: string }>(
      kit.db,
      sql`select encode(device_hash, 'base64') as hash from trusted_devices limit 1`,
    );
    expect(await codeOf(byPassword(kit, `${kid}.${hash}.${mac}`))).toBe("mfa.required");
  });

  it("is a new one: what was known of the device before is not trusted along with it", async () => {
    await using kit = await open();
    const { code } = await withTrust(kit);
    const before = await answerChallenge(kit, { challenge: await challengeOf(kit), code: code(), client: testClient });
    const after = await trust(kit, "ann", code());
    expect(after.deviceToken).not.toBe(before.deviceToken);
    expect(await codeOf(byPassword(kit, before.deviceToken))).toBe("mfa.required");
  });

  it("is one of twenty at most: the oldest goes", async () => {
    await using kit = await open();
    const { actor, code, trusted } = await withTrust(kit);
    for (let index = 0; index < 20; index += 1) await trust(kit, "ann", code());
    expect(await listTrustedDevices(kit, actor)).toHaveLength(20);
    expect(await codeOf(byPassword(kit, trusted.deviceToken))).toBe("mfa.required");
  });
});

describe("trust ends with", () => {
  const passkeyOf = async (kit: Kit, actor: Actor): Promise<Authenticator> => {
    const device = createAuthenticator();
    await addPasskey(kit, { actor, name: "Key", response: device.create(await offerPasskey(kit, actor)) });
    return device;
  };

  const ENDS: Readonly<Record<string, (kit: Kit, owner: Owner) => Promise<unknown>>> = {
    "a changed password": (kit, { actor }) => changePassword(kit, { actor, currentPassword: "securepass", newPassword: "a new password" }),
    "a password set by mail, also where sessions are kept": async (kit) => {
      await forgotPassword(kit, { email: "ann@example.com", client: testClient });
      const token = (await kit.mailTo("ann@example.com")).at(-1)?.token ?? "";
      await resetPassword(kit, { token, password: "a new password", keepSessions: true, client: testClient });
    },
    "new recovery codes": (kit, { actor }) => renewRecoveryCodes(kit, actor),
    "a passkey that was added": (kit, { actor }) => passkeyOf(kit, actor),
    "all factors taken away, and an app added anew": async (kit, { actor }) => {
      await inTx(kit.db, (tx) => removeFactors(tx, actor.userId));
      const { secret } = await offerTotp(kit, actor);
      kit.later();
      await confirmTotp(kit, { actor, code: generateSync({ secret, epoch: Math.floor(kit.clock.now().getTime() / 1000) }) });
    },
    "a refresh token that was used twice": async (kit, { trusted }) => {
      let refreshToken = trusted.refreshToken ?? "";
      for (let turn = 0; turn < 3; turn += 1) ({ refreshToken } = await refresh(kit, { refreshToken, client: testClient }));
      const stolen = { refreshToken: trusted.refreshToken ?? "", client: testClient };
      expect(await codeOf(refresh(kit, stolen))).toBe("refresh.reused");
    },
    "its owner's wish": async (kit, { actor }) => {
      const [device] = await listTrustedDevices(kit, actor);
      await forgetTrustedDevice(kit, { actor, id: device?.id ?? "" });
    },
    "its owner's wish for all": async (kit, { actor }) => expect(await forgetTrustedDevices(kit, actor)).toEqual({ devicesForgotten: 1 }),
  };

  it.each(Object.keys(ENDS))("%s", async (what) => {
    await using kit = await open();
    const owner = await withTrust(kit);
    await withTrust(kit, "bob");
    expect(await codeOf(byPassword(kit, owner.trusted.deviceToken))).toBe("ok");
    await ENDS[what]?.(kit, owner);
    const password = what.includes("password ") || what.endsWith("password") ? "a new password" : "securepass";
    const known = await codeOf(byPassword(kit, owner.trusted.deviceToken, "ann", password));
    expect(known).toBe("mfa.required");
    // Nobody else's.
    expect(await rows(kit.db, sql`select id from trusted_devices`)).toHaveLength(1);
  });

  it("a passkey that was removed, and one that may have been copied", async () => {
    await using kit = await open();
    const { actor, code } = await withTrust(kit);
    const device = await passkeyOf(kit, actor);
    const trusts = async (): Promise<LoggedIn> => await trust(kit, "ann", code());

    const first = await trusts();
    await loginByPasskey(kit, { response: device.get(await offerPasskeyLogin(kit), { counter: 9 }), client: testClient });
    expect(await codeOf(byPassword(kit, first.deviceToken))).toBe("ok");
    const copied = device.get(await offerPasskeyLogin(kit), { counter: 9 });
    expect(await codeOf(loginByPasskey(kit, { response: copied, client: testClient }))).toBe("passkey.invalid");
    expect(await codeOf(byPassword(kit, first.deviceToken))).toBe("mfa.required");

    const second = await trusts();
    await removePasskey(kit, { actor, id: device.held[0]?.id ?? "" });
    expect(await codeOf(byPassword(kit, second.deviceToken))).toBe("mfa.required");
  });

  it("not of somebody else's wish", async () => {
    await using kit = await open();
    const { actor, trusted } = await withTrust(kit);
    const [device] = await listTrustedDevices(kit, actor);
    const bob = actorOf(await kit.registered("bob"));
    expect(await codeOf(forgetTrustedDevice(kit, { actor: bob, id: device?.id ?? "" }))).toBe("trusted_device.not_found");
    expect(await forgetTrustedDevices(kit, bob)).toEqual({ devicesForgotten: 0 });
    expect(await codeOf(byPassword(kit, trusted.deviceToken))).toBe("ok");
  });
});
