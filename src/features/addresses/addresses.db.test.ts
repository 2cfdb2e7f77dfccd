import { describe, expect, it } from "@jest/globals";
import { affected, row, rows, sql } from "#src/db/sql";
import type { Actor } from "#src/kernel/actor";
import { CODE_TRIES } from "#src/features/one-time-tokens/one-time-tokens.sql";
import { selectSessionState } from "#src/features/sessions/public";
import type { LoggedIn } from "#src/features/sign-in/begin-or-ask";
import { login } from "#src/features/sign-in/login";
import { register } from "#src/features/sign-in/register";
import { requestRegistration } from "#src/features/sign-in/request-registration";
import { changePassword } from "#src/features/sign-in/set-password";
import { testClient } from "../../../test/kit/sessions.ts";
import { signInKit, type SignInKit } from "../../../test/kit/sign-in.ts";
import { codeOf } from "../../../test/kit/outcome.ts";
import { requestAddressChange } from "./change-address.ts";
import { resendVerification } from "./resend-verification.ts";
import { verifyAddress, type Verified } from "./verify-address.ts";

const byLink = (kit: SignInKit, token: string, username?: string): Promise<Verified> =>
  verifyAddress(kit, { proof: { token }, username, client: testClient });
const byCode = (kit: SignInKit, email: string, code: string): Promise<Verified> =>
  verifyAddress(kit, { proof: { email, code }, client: testClient });
const signIn = (kit: SignInKit, name: string, password = "securepass"): Promise<LoggedIn> =>
  login(kit, { emailOrUsername: name, password, client: testClient });

async function actorOf(session: { readonly user: { readonly id: string }; readonly session: { readonly id: string } }): Promise<Actor> {
  return { userId: session.user.id, sessionId: session.session.id } as Actor;
}

const ask = (kit: SignInKit, email: string, username: string): Promise<void> =>
  requestRegistration(kit, { email, username, password: "securepass", client: testClient });

const wrong = (code: string): string => String((Number(code) + 1) % 1_000_000).padStart(6, "0");

describe("a registration that waits for its address", () => {
  it("makes the account when its link is used, once", async () => {
    await using kit = await signInKit();
    await ask(kit, "Ann@example.com", "ann");
    expect(await codeOf(signIn(kit, "ann"))).toBe("credentials.invalid");
    const [mail] = await kit.mailTo("Ann@example.com");
    expect(await byLink(kit, mail?.token ?? "")).toEqual({ what: "registration", email: "Ann@example.com" });
    expect((await signIn(kit, "ann@EXAMPLE.com")).user).toMatchObject({ username: "ann", emailVerified: true });
    expect(await codeOf(byLink(kit, mail?.token ?? ""))).toBe("link.invalid");
  });

  it("makes it by the code as well, and of fifty at once by one", async () => {
    await using kit = await signInKit();
    await ask(kit, "ann@example.com", "ann");
    const [mail] = await kit.mailTo("ann@example.com");
    const token = mail?.token ?? "";
    const tries = [byCode(kit, "ANN@example.com", mail?.code ?? ""), ...Array.from({ length: 49 }, () => byLink(kit, token))];
    const outcomes = await Promise.all(tries.map(codeOf));
    expect(outcomes.filter((outcome) => outcome === "ok")).toHaveLength(1);
    expect(new Set(outcomes)).toEqual(new Set(["ok", "link.invalid", ...(outcomes[0] === "ok" ? [] : ["code.invalid"])]));
  });

  it("tells the owner of an address, and nobody else, that it has an account", async () => {
    await using kit = await signInKit();
    await kit.registered("ann");
    await kit.mailTo("ann@example.com");
    await ask(kit, "ann@example.com", "impostor");
    const mails = await kit.mailTo("ann@example.com");
    expect(mails.map(({ subject }) => subject)).toEqual(["Confirm your e-mail address", "You have an account already"]);
    expect(mails[1]).toMatchObject({ token: "", code: "" });
    expect(await row(kit.db, sql`select 1 from users where username = 'impostor'`)).toBeUndefined();
  });

  it("whose name was taken meanwhile keeps its link, and takes another name", async () => {
    await using kit = await signInKit();
    await ask(kit, "ann@example.com", "same");
    await ask(kit, "bob@example.com", "same");
    const [ann] = await kit.mailTo("ann@example.com");
    const [bob] = await kit.mailTo("bob@example.com");
    await byLink(kit, bob?.token ?? "");
    expect(await codeOf(byLink(kit, ann?.token ?? ""))).toBe("username.taken");
    await byLink(kit, ann?.token ?? "", "another");
    expect((await signIn(kit, "another")).user.email).toBe("ann@example.com");
  });

  it("is not finished by whoever asked with another's address: each link has its own password", async () => {
    await using kit = await signInKit();
    await requestRegistration(kit, { email: "ann@example.com", username: "mallory", password: "of-the-attacker", client: testClient });
    await ask(kit, "ann@example.com", "ann");
    const mails = await kit.mailTo("ann@example.com");
    const own = mails.find(({ text }) => text.includes("account ann "));
    await byLink(kit, own?.token ?? "");
    const others = mails.find((mail) => mail !== own);
    expect(await codeOf(byLink(kit, others?.token ?? ""))).toBe("email.taken");
    expect(await codeOf(signIn(kit, "ann", "of-the-attacker"))).toBe("credentials.invalid");
  });

  it("leaves in the database neither link nor code", async () => {
    await using kit = await signInKit();
    await ask(kit, "ann@example.com", "ann");
    const [mail] = await kit.mailTo("ann@example.com");
    const dump = JSON.stringify([await rows(kit.db, sql`select * from one_time_tokens`), await rows(kit.db, sql`select * from jobs`)]);
    expect(dump).not.toContain(mail?.token);
    expect(dump).not.toContain(mail?.code);
  });
});

describe("a code", () => {
  it("dies after five tries, and its link does not", async () => {
    await using kit = await signInKit();
    await kit.registered("ann");
    const [mail] = await kit.mailTo("ann@example.com");
    const { code = "", token = "" } = mail ?? {};
    for (let index = 0; index < CODE_TRIES; index += 1) {
      expect(await codeOf(byCode(kit, "ann@example.com", wrong(code)))).toBe("code.invalid");
    }
    expect(await codeOf(byCode(kit, "ann@example.com", code))).toBe("code.invalid");
    expect(await codeOf(byLink(kit, token))).toBe("ok");
  });

  it("has five tries however many come at once", async () => {
    await using kit = await signInKit();
    await kit.registered("ann");
    const [mail] = await kit.mailTo("ann@example.com");
    await Promise.all(Array.from({ length: 40 }, () => codeOf(byCode(kit, "ann@example.com", wrong(mail?.code ?? "")))));
    expect(await row(kit.db, sql`select tries from one_time_tokens`)).toEqual({ tries: CODE_TRIES });
  });

  it("of an address that never got one is refused alike", async () => {
    await using kit = await signInKit();
    expect(await codeOf(byCode(kit, "nobody@example.com", "000000"))).toBe("code.invalid");
  });

  it("and link end with their time", async () => {
    await using kit = await signInKit();
    await kit.registered("ann");
    const [mail] = await kit.mailTo("ann@example.com");
    await affected(kit.db, sql`update one_time_tokens set expires_at = now()`);
    expect(await codeOf(byCode(kit, "ann@example.com", mail?.code ?? ""))).toBe("code.invalid");
    expect(await codeOf(byLink(kit, mail?.token ?? ""))).toBe("link.invalid");
  });
});

describe("asking for the mail again", () => {
  it("sends a new one to an account that waits, the old link as well to a registration, and nothing to others", async () => {
    await using kit = await signInKit();
    const client = testClient;
    await kit.registered("ann");
    await ask(kit, "bob@example.com", "bob");
    for (const email of ["ann@example.com", "bob@example.com", "nobody@example.com"]) await resendVerification(kit, { email, client });
    const [first, second] = await kit.mailTo("ann@example.com");
    expect(await byLink(kit, second?.token ?? "")).toMatchObject({ what: "address" });
    expect(first?.token).not.toBe(second?.token);
    const [asked, again] = await kit.mailTo("bob@example.com");
    expect(again?.token).toBe(asked?.token);
    expect(await kit.mailTo("nobody@example.com")).toEqual([]);
    // Confirmed: nothing more to send.
    await resendVerification(kit, { email: "ann@example.com", client });
    expect(await kit.mailTo("ann@example.com")).toHaveLength(2);
  });
});

/** From ann's to one address of a thief and on to another; gives the two ways back. */
async function chainOfChanges(kit: SignInKit): Promise<{ readonly first: string; readonly last: string }> {
  const actor = await actorOf(await kit.registered("ann"));
  for (const email of ["thief@example.com", "thief2@example.com"]) {
    await requestAddressChange(kit, { actor, email, currentPassword: "securepass", client: testClient });
    await byLink(kit, (await kit.mailTo(email)).at(-1)?.token ?? "");
  }
  const undoOf = async (email: string): Promise<string> =>
    (await kit.mailTo(email)).findLast(({ subject }) => subject === "The e-mail address of your account was changed")?.token ?? "";
  return { first: await undoOf("ann@example.com"), last: await undoOf("thief@example.com") };
}

describe("a change of address", () => {
  it("holds once the new one is confirmed, ends other sessions, and is told at the old one", async () => {
    await using kit = await signInKit();
    const here = await kit.registered("ann");
    const elsewhere = await signIn(kit, "ann");
    await requestAddressChange(kit, {
      actor: await actorOf(here),
      email: "new@example.com",
      currentPassword: "securepass",
      client: testClient,
    });
    const [mail] = await kit.mailTo("new@example.com");
    expect((await signIn(kit, "ann@example.com")).user.email).toBe("ann@example.com");
    expect(await byCode(kit, "new@example.com", mail?.code ?? "")).toEqual({ what: "address_change", email: "new@example.com" });
    expect((await signIn(kit, "new@example.com")).user).toMatchObject({ email: "new@example.com", emailVerified: true });
    expect((await selectSessionState(kit.db, here.session.id))?.endedBecause).toBeNull();
    expect((await selectSessionState(kit.db, elsewhere.session.id))?.endedBecause).not.toBeNull();
    const told = await kit.mailTo("ann@example.com");
    expect(told.at(-1)?.subject).toBe("The e-mail address of your account was changed");
    expect((await kit.mailTo("new@example.com")).at(-1)?.subject).toBe("Your account has a new e-mail address");
  });

  it("is taken back from the old address: every session ends and a new password is mailed there", async () => {
    await using kit = await signInKit();
    const thief = await kit.registered("ann");
    await requestAddressChange(kit, {
      actor: await actorOf(thief),
      email: "thief@example.com",
      currentPassword: "securepass",
      client: testClient,
    });
    const [mail] = await kit.mailTo("thief@example.com");
    await byLink(kit, mail?.token ?? "");
    const undo = (await kit.mailTo("ann@example.com")).at(-1);
    expect(await byLink(kit, undo?.token ?? "")).toEqual({ what: "address_undo", email: "ann@example.com" });
    expect((await selectSessionState(kit.db, thief.session.id))?.endedBecause).not.toBeNull();
    // They knew the password: it is good for nothing.
    for (const name of ["thief@example.com", "ann@example.com", "ann"]) expect(await codeOf(signIn(kit, name))).toBe("credentials.invalid");
    const subjects = (await kit.mailTo("ann@example.com")).map(({ subject }) => subject);
    expect(subjects).toContain("Please set a new password");
    expect(await codeOf(byLink(kit, undo?.token ?? ""))).toBe("link.invalid");
  });

  it("is taken back by its first owner also after a chain of changes, of which the last was taken back", async () => {
    await using kit = await signInKit();
    const { first, last } = await chainOfChanges(kit);
    expect(await byLink(kit, last)).toEqual({ what: "address_undo", email: "thief@example.com" });
    expect(await byLink(kit, first)).toEqual({ what: "address_undo", email: "ann@example.com" });
    expect((await kit.mailTo("ann@example.com")).at(-1)?.subject).toBe("Please set a new password");
  });

  it("keeps the old address for its owner while they may take it back", async () => {
    await using kit = await signInKit();
    const { first } = await chainOfChanges(kit);
    const squat = register(kit, { email: "ANN@example.com", username: "squatter", password: "securepass", client: testClient });
    expect(await codeOf(squat)).toBe("email.taken");
    expect(await byLink(kit, first)).toEqual({ what: "address_undo", email: "ann@example.com" });
  });

  it("cannot be made good again by the way back of a later one", async () => {
    await using kit = await signInKit();
    const { first, last } = await chainOfChanges(kit);
    await byLink(kit, first);
    expect(await codeOf(byLink(kit, last))).toBe("link.invalid");
  });

  it("wants the password, another address, and tells only that address that it has an account", async () => {
    await using kit = await signInKit();
    const actor = await actorOf(await kit.registered("ann"));
    await kit.registered("bob");
    await kit.mailTo("bob@example.com");
    const change = (email: string, currentPassword = "securepass"): Promise<string> =>
      codeOf(requestAddressChange(kit, { actor, email, currentPassword, client: testClient }));
    expect(await change("new@example.com", "wrong-password")).toBe("password.wrong");
    expect(await change("ANN@example.com")).toBe("email.unchanged");
    expect(await change("bob@example.com")).toBe("ok");
    const told = (await kit.mailTo("bob@example.com")).at(-1);
    expect(told).toMatchObject({ subject: "This address has an account already", token: "", code: "" });
    expect((await signIn(kit, "ann")).user.email).toBe("ann@example.com");
  });

  it("that somebody else had asked for ends with the password they knew", async () => {
    await using kit = await signInKit();
    const owner = await kit.registered("ann");
    const thief = await signIn(kit, "ann");
    const input = { email: "thief@example.com", currentPassword: "securepass", client: testClient };
    await requestAddressChange(kit, { actor: await actorOf(thief), ...input });
    const [mail] = await kit.mailTo("thief@example.com");
    await changePassword(kit, { actor: await actorOf(owner), currentPassword: "securepass", newPassword: "a new password" });
    expect(await codeOf(byLink(kit, mail?.token ?? ""))).toBe("link.invalid");
    expect((await signIn(kit, "ann", "a new password")).user.email).toBe("ann@example.com");
  });

  it("voids what was mailed to the old address", async () => {
    await using kit = await signInKit();
    const here = await kit.registered("ann");
    const [before] = await kit.mailTo("ann@example.com");
    await requestAddressChange(kit, {
      actor: await actorOf(here),
      email: "new@example.com",
      currentPassword: "securepass",
      client: testClient,
    });
    await byLink(kit, (await kit.mailTo("new@example.com"))[0]?.token ?? "");
    expect(await codeOf(byLink(kit, before?.token ?? ""))).toBe("link.invalid");
  });
});
