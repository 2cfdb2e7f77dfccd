import { describe, expect, it } from "@jest/globals";
import { generateSync } from "otplib";
import { affected, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { addPasskey, offerPasskey } from "#src/features/factors/add-passkey";
import { removePasskey } from "#src/features/factors/own-passkeys";
import { readFactors } from "#src/features/factors/read-factors";
import { confirmTotp, offerTotp } from "#src/features/factors/totp-factor";
import { insertIdentity } from "#src/features/identities/public";
import { selectSessionState } from "#src/features/sessions/public";
import type { Actor } from "#src/kernel/actor";
import { systemClock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { createAuthenticator, type Authenticator } from "../../../test/kit/authenticator.ts";
import { codeOf } from "../../../test/kit/outcome.ts";
import { testClient } from "../../../test/kit/sessions.ts";
import { signInKit, type SignInKit } from "../../../test/kit/sign-in.ts";
import { requestEmailSignIn, signInByEmail } from "./email-sign-in.ts";
import { forgotPassword } from "./forgot-password.ts";
import { login } from "./login.ts";
import { offerPasskeyLogin, loginByPasskey } from "./passkey-login.ts";
import { resetPassword } from "./set-password.ts";

const client = testClient;

/** Somebody registers with an address that is not theirs, and takes care to get in again. */
async function squatted(
  kit: SignInKit,
  make = kit.registered,
): Promise<{ readonly actor: Actor; readonly device: Authenticator; readonly passkeyId: string }> {
  const made = await make("ann");
  const actor = { userId: made.user.id, sessionId: made.session.id } as Actor;
  const { secret } = await offerTotp(kit, actor);
  await confirmTotp(kit, { actor, code: generateSync({ secret }) });
  const device = createAuthenticator();
  const { passkey } = await addPasskey(kit, { actor, name: "Mine", response: device.create(await offerPasskey(kit, actor)) });
  return { actor, device, passkeyId: passkey.id };
}

async function byPasskey(kit: SignInKit, device: Authenticator): Promise<string> {
  return await codeOf(loginByPasskey(kit, { response: device.get(await offerPasskeyLogin(kit)), client }));
}

async function reset(kit: SignInKit, keepSessions = false): Promise<void> {
  await forgotPassword(kit, { email: "ann@example.com", client });
  const token = (await kit.mailTo("ann@example.com")).findLast(({ subject }) => subject === "Set a new password")?.token ?? "";
  await resetPassword(kit, { token, password: "the owner's own", keepSessions, client });
}

describe("an account that somebody else made with an address", () => {
  it("is its owner's alone after a reset: the other's passkey and app are gone", async () => {
    await using kit = await signInKit();
    const { actor, device } = await squatted(kit);
    expect(await byPasskey(kit, device)).toBe("ok");
    await reset(kit);
    expect(await byPasskey(kit, device)).toBe("passkey.invalid");
    expect(await readFactors(kit, actor)).toEqual({ totp: null, passkeys: 0, recoveryCodesLeft: 0 });
  });

  it("keeps no session of before over a reset that asks to keep them; where the address was proved it does", async () => {
    await using kit = await signInKit();
    const { actor } = await squatted(kit);
    await reset(kit, true);
    expect((await selectSessionState(kit.db, actor.sessionId))?.endedBecause).toBe("password_reset");
    const own = await login(kit, { emailOrUsername: "ann", password: "the owner's own", client });
    await reset(kit, true);
    expect((await selectSessionState(kit.db, own.session.id))?.endedBecause).toBeNull();
  });

  it("opens to a mailed code without the other's factor", async () => {
    await using kit = await signInKit();
    const { actor, device } = await squatted(kit);
    await requestEmailSignIn(kit, { email: "ann@example.com", client });
    const token = (await kit.mailTo("ann@example.com")).at(-1)?.token ?? "";
    const own = await signInByEmail(kit, { proof: { token }, client });
    expect(own.user.emailVerified).toBe(true);
    expect(await byPasskey(kit, device)).toBe("passkey.invalid");
    // Nor by the session and the password of before.
    expect((await selectSessionState(kit.db, actor.sessionId))?.endedBecause).toBe("password_reset");
    expect(await codeOf(login(kit, { emailOrUsername: "ann", password: "securepass", client }))).toBe("credentials.invalid");
    expect((await kit.mailTo("ann@example.com")).at(-1)?.subject).toBe("Please set a new password");
    await requestEmailSignIn(kit, { email: "ann@example.com", client });
    const again = (await kit.mailTo("ann@example.com")).at(-1)?.token ?? "";
    await signInByEmail(kit, { proof: { token: again }, client });
    expect((await selectSessionState(kit.db, own.session.id))?.endedBecause).toBeNull();
  });

  it("is not meant where the address was proved: whoever reads a mailbox is still asked for the factor", async () => {
    await using kit = await signInKit();
    const { actor, device } = await squatted(kit, kit.proved);
    await reset(kit);
    expect(await readFactors(kit, actor)).toMatchObject({ passkeys: 1, recoveryCodesLeft: 10 });
    expect(await byPasskey(kit, device)).toBe("ok");
  });
});

it("the last way in cannot be taken away", async () => {
  await using kit = await signInKit();
  const { actor, passkeyId } = await squatted(kit);
  await inTx(kit.db, (tx) => affected(tx, sql`delete from credentials where user_id = ${actor.userId}::uuid`));
  // Of a provider that is configured no more, by which nobody signs in.
  const identity = { id: newUuid(systemClock), provider: "gone", issuer: "https://gone.example", subject: "ann" };
  await inTx(kit.db, (tx) => insertIdentity(tx, { ...identity, userId: actor.userId, email: undefined, isUsed: true }));
  expect(await codeOf(removePasskey(kit, { actor, id: passkeyId }))).toBe("passkey.last_way_in");
  expect(await readFactors(kit, actor)).toMatchObject({ passkeys: 1 });
});
