import { describe, expect, it } from "@jest/globals";
import { affected, sql } from "#src/db/sql";
import { addPasskey, offerPasskey } from "#src/features/factors/add-passkey";
import { removePasskey } from "#src/features/factors/own-passkeys";
import type { Actor } from "#src/kernel/actor";
import { createAuthenticator, type Authenticator, type Bent } from "../../../test/kit/authenticator.ts";
import { codeOf } from "../../../test/kit/outcome.ts";
import { testClient } from "../../../test/kit/sessions.ts";
import { signInKit, type SignInKit } from "../../../test/kit/sign-in.ts";
import { loginByPasskey, offerPasskeyLogin } from "./passkey-login.ts";
import { offerStepUp, stepUpByPasskey } from "./step-up-by-passkey.ts";

const actorOf = (who: { user: { id: string }; session: { id: string } }): Actor =>
  ({ userId: who.user.id, sessionId: who.session.id }) as Actor;

/** An account with a passkey and a session that is fresh no more. */
async function stale(
  kit: SignInKit,
  name = "ann",
): Promise<{ readonly actor: Actor; readonly device: Authenticator; readonly id: string }> {
  const device = createAuthenticator();
  const actor = actorOf(await kit.registered(name));
  await addPasskey(kit, { actor, name: "Key", response: device.create(await offerPasskey(kit, actor)) });
  await affected(kit.db, sql`update sessions set created_at = created_at - interval '1 hour' where id = ${actor.sessionId}::uuid`);
  return { actor, device, id: device.held[0]?.id ?? "" };
}

async function stepUp(kit: SignInKit, actor: Actor, device: Authenticator, bent: Bent = {}): Promise<string> {
  const response = device.get(await offerStepUp(kit, actor), bent);
  return await codeOf(stepUpByPasskey(kit, { actor, response }));
}

describe("a step-up by passkey", () => {
  it("makes the session fresh, once for a challenge", async () => {
    await using kit = await signInKit();
    const { actor, device, id } = await stale(kit);
    expect(await codeOf(removePasskey(kit, { actor, id }))).toBe("step_up.required");
    const options = await offerStepUp(kit, actor);
    expect(options).toMatchObject({ userVerification: "required", allowCredentials: [{ id }] });
    const response = device.get(options);
    const answers = await Promise.all(Array.from({ length: 3 }, () => codeOf(stepUpByPasskey(kit, { actor, response }))));
    expect(answers.toSorted()).toEqual(["ok", "passkey.challenge_invalid", "passkey.challenge_invalid"]);
    expect(await codeOf(removePasskey(kit, { actor, id }))).toBe("ok");
    expect(await codeOf(offerStepUp(kit, actor))).toBe("passkey.not_found");
  });

  it("wants finger, face or PIN, the account's own passkey, and a challenge of this session", async () => {
    await using kit = await signInKit();
    const { actor, device, id } = await stale(kit);
    const bob = await stale(kit, "bob");
    expect(await stepUp(kit, actor, device, { userVerified: false })).toBe("passkey.invalid");
    expect(await stepUp(kit, actor, device, { origin: "https://evil.test" })).toBe("passkey.invalid");
    const options = await offerStepUp(kit, actor);
    const foreign = bob.device.get({ ...options, allowCredentials: [] });
    expect(await codeOf(stepUpByPasskey(kit, { actor, response: foreign }))).toBe("passkey.invalid");
    expect(await codeOf(stepUpByPasskey(kit, { actor: bob.actor, response: foreign }))).toBe("passkey.challenge_invalid");
    const elsewhere = actorOf(await loginByPasskey(kit, { response: device.get(await offerPasskeyLogin(kit)), client: testClient }));
    expect(await codeOf(stepUpByPasskey(kit, { actor: elsewhere, response: device.get(options) }))).toBe("passkey.challenge_invalid");
    const ofLogin = device.get(await offerPasskeyLogin(kit));
    expect(await codeOf(stepUpByPasskey(kit, { actor, response: ofLogin }))).toBe("passkey.challenge_invalid");
    expect(await codeOf(loginByPasskey(kit, { response: device.get(options), client: testClient }))).toBe("passkey.challenge_invalid");
    expect(await codeOf(removePasskey(kit, { actor, id }))).toBe("step_up.required");
  });

  it("of one that may have been copied makes nothing fresh", async () => {
    await using kit = await signInKit();
    const { actor, device, id } = await stale(kit);
    await loginByPasskey(kit, { response: device.get(await offerPasskeyLogin(kit), { counter: 9 }), client: testClient });
    expect(await stepUp(kit, actor, device, { counter: 9 })).toBe("passkey.invalid");
    expect(await codeOf(removePasskey(kit, { actor, id }))).toBe("step_up.required");
  });
});
