import { describe, expect, it } from "@jest/globals";
import { generateSync } from "otplib";
import { affected, sql } from "#src/db/sql";
import { confirmTotp, offerTotp } from "#src/features/factors/totp-factor";
import type { Actor } from "#src/kernel/actor";
import { testClient } from "../../../test/kit/sessions.ts";
import { signInKit, type SignInKit } from "../../../test/kit/sign-in.ts";
import { codeOf } from "../../../test/kit/outcome.ts";
import type { LoggedIn } from "./begin-or-ask.ts";
import { requestEmailSignIn, signInByEmail } from "./email-sign-in.ts";

const client = testClient;

async function mailed(kit: SignInKit, email = "ann@example.com"): Promise<{ code: string; token: string }> {
  await requestEmailSignIn(kit, { email, client });
  const mails = await kit.mailTo(email);
  return mails.findLast(({ subject }) => subject === "Your code for signing in") ?? { code: "", token: "" };
}

const byCode = (kit: SignInKit, code: string, email = "ann@example.com"): Promise<LoggedIn> =>
  signInByEmail(kit, { proof: { email, code }, client });
const byLink = (kit: SignInKit, token: string): Promise<LoggedIn> => signInByEmail(kit, { proof: { token }, client });
const wrong = (code: string): string => String((Number(code) + 1) % 1_000_000).padStart(6, "0");

describe("signing in by a mail", () => {
  it("takes the code once, or the link, and proves the address", async () => {
    await using kit = await signInKit();
    await kit.registered("ann");
    const { code, token } = await mailed(kit);
    expect(await codeOf(byCode(kit, wrong(code)))).toBe("code.invalid");
    const outcomes = await Promise.all([...Array.from({ length: 3 }, () => codeOf(byLink(kit, token))), codeOf(byCode(kit, code))]);
    expect(outcomes.filter((outcome) => outcome === "ok")).toHaveLength(1);
    expect((await byLink(kit, (await mailed(kit)).token)).user).toMatchObject({ username: "ann", emailVerified: true });
  });

  it("mails nothing to an address without an account, and takes no other link", async () => {
    await using kit = await signInKit();
    await kit.registered("ann");
    const [verification] = await kit.mailTo("ann@example.com");
    await requestEmailSignIn(kit, { email: "nobody@example.com", client });
    expect(await kit.mailTo("nobody@example.com")).toEqual([]);
    expect(await codeOf(byLink(kit, verification?.token ?? ""))).toBe("link.invalid");
    expect(await codeOf(byCode(kit, verification?.code ?? ""))).toBe("code.invalid");
  });

  it("ends after ten minutes, and its code after five tries", async () => {
    await using kit = await signInKit();
    await kit.registered("ann");
    const first = await mailed(kit);
    for (let index = 0; index < 5; index += 1) await codeOf(byCode(kit, wrong(first.code)));
    expect(await codeOf(byCode(kit, first.code))).toBe("code.invalid");
    await affected(kit.db, sql`update one_time_tokens set expires_at = expires_at - interval '10 minutes' where purpose = 'sign_in'`);
    expect(await codeOf(byLink(kit, first.token))).toBe("link.invalid");
  });

  it("asks for a second factor where there is one", async () => {
    await using kit = await signInKit();
    const { user, session } = await kit.proved("ann");
    const actor = { userId: user.id, sessionId: session.id } as Actor;
    const { secret } = await offerTotp(kit, actor);
    await confirmTotp(kit, { actor, code: generateSync({ secret }) });
    expect(await codeOf(byLink(kit, (await mailed(kit)).token))).toBe("mfa.required");
  });

  it("is not there unless it is offered", async () => {
    await using kit = await signInKit();
    await kit.registered("ann");
    const { token } = await mailed(kit);
    const off = { ...kit, config: { ...kit.config, emailSignIn: false } };
    expect(await codeOf(requestEmailSignIn(off, { email: "ann@example.com", client }))).toBe("email_sign_in.off");
    expect(await codeOf(signInByEmail(off, { proof: { token }, client }))).toBe("email_sign_in.off");
  });
});
