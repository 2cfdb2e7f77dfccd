import type { ServerResponse } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import jsonwebtoken from "jsonwebtoken";
import { affected, row, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { beginExchange, insertIdentity, type Begun } from "#src/features/identities/public";
import { newUuid } from "#src/kernel/ids";
import { CLIENT_SECRET, signInKit, type SignInKit } from "../../../test/kit/sign-in.ts";
import { listenOnLoopback, startIdentityProvider, type IdentityProvider } from "../../../test/kit/identity-provider.ts";
import { codeOf } from "../../../test/kit/outcome.ts";
import { testClient } from "../../../test/kit/sessions.ts";
import type { LoggedIn } from "./begin-or-ask.ts";
import { requestEmailSignIn, signInByEmail } from "./email-sign-in.ts";
import { forgotPassword } from "./forgot-password.ts";
import { login } from "./login.ts";
import { loginByProvider } from "./provider-login.ts";
import { resetPassword } from "./set-password.ts";

const stack = new AsyncDisposableStack();
let kit: SignInKit;
/** As the kit, where addresses are confirmed first. */
let verified: SignInKit;
let a: IdentityProvider;
let b: IdentityProvider;
/** Makes no accounts. */
let closed: IdentityProvider;

beforeAll(async () => {
  a = stack.use(await startIdentityProvider("a"));
  b = stack.use(await startIdentityProvider("b"));
  closed = stack.use(await startIdentityProvider("closed", { newAccounts: false }));
  kit = stack.use(await signInKit(false, [a.configured, b.configured, closed.configured]));
  verified = { ...kit, config: { ...kit.config, registration: "verified" } };
});
afterEach(() => a.answers.clear());
afterAll(() => stack.disposeAsync());

const begin = (at: IdentityProvider): Promise<Begun> => beginExchange(kit, { provider: at.configured.id });
const complete = (at: IdentityProvider, { binding }: Begun, response: string, on = kit): Promise<LoggedIn> =>
  loginByProvider(on, { provider: at.configured.id, response, binding, client: testClient });

/** Signs somebody in who has these claims from now on. */
async function enter(at: IdentityProvider, subject: string, claims?: Readonly<Record<string, unknown>>, on = kit): Promise<LoggedIn> {
  if (claims !== undefined) at.people.set(subject, claims);
  const begun = await begin(at);
  return await complete(at, begun, await at.signIn(begun.authorizationUrl, subject), on);
}

const ownerOf = async (subject: string): Promise<string | undefined> =>
  (await row<{ user_id: string }>(kit.db, sql`select user_id from identities where subject = ${subject}`))?.user_id;

async function linked(username: string): Promise<string> {
  const { user } = await kit.registered(username);
  const identity = { provider: "a", issuer: a.issuer, subject: username, email: undefined, userId: user.id, isUsed: false };
  await inTx(kit.db, (tx) => insertIdentity(tx, { ...identity, id: newUuid(kit.clock) }));
  return user.id;
}

describe("signing in through another provider", () => {
  it("makes an account, and finds it again whatever the address there is by then", async () => {
    const first = await enter(a, "ann", { email: "ann@example.com", email_verified: true, name: "Ann Öberg" });
    expect(first.user).toMatchObject({ username: "ann.oberg", email: "ann@example.com", displayName: "Ann Öberg", emailVerified: true });
    await kit.registered("wanted");
    const again = await enter(a, "ann", { email: "wanted@example.com", email_verified: true, name: "Somebody Else" });
    expect(again.user).toMatchObject({ id: first.user.id, username: "ann.oberg", email: "ann@example.com", displayName: "Ann Öberg" });
    expect(again.session.id).not.toBe(first.session.id);
  });

  it("keeps nothing that a copy of the database could use", async () => {
    const begun = await begin(a);
    const url = new URL(begun.authorizationUrl);
    expect(url.searchParams.get("code_challenge_method")).toBe("S256");
    const kept = JSON.stringify(await rows(kit.db, sql`select * from one_time_tokens where purpose = 'oidc_sign_in'`));
    for (const secret of [begun.binding, begun.state, url.searchParams.get("nonce") ?? "?", "verifier"]) expect(kept).not.toContain(secret);
    await complete(a, begun, await a.signIn(begun.authorizationUrl, "ann"));
    expect(await row(kit.db, sql`select 1 from one_time_tokens where purpose = 'oidc_sign_in' and user_id is not null`)).toBeUndefined();
    const columns = await rows(kit.db, sql`select column_name from information_schema.columns where table_name = 'identities'`);
    expect(JSON.stringify(columns)).not.toContain("token");
  });

  it("has an address that the provider did not make sure of confirmed by mail", async () => {
    const { user } = await enter(a, "una", { email: "una@example.com", email_verified: false, preferred_username: "una" });
    expect(user).toMatchObject({ username: "una", emailVerified: false });
    expect(await kit.mailTo("una@example.com")).toHaveLength(1);
  });

  it("takes a name that is free and not reserved, or one like what was asked for", async () => {
    const named = async (subject: string, claims: object): Promise<string> =>
      (await enter(a, subject, { email: `${subject}@example.com`, email_verified: true, ...claims })).user.username;
    expect(await named("n1", { preferred_username: "namesake" })).toBe("namesake");
    expect(await named("n2", { preferred_username: "Namesake" })).toMatch(/^namesake\d{4,7}$/);
    expect(await named("n3", { preferred_username: "admin" })).toMatch(/^user\d{4,7}$/);
    expect(await named("n4", { preferred_username: "n4@elsewhere.example", nickname: "Nick" })).toBe("nick");
    expect(await named("n5", { name: "\u202eevil\u0000" })).toMatch(/^user\d{4,7}$/);
  });

  it("asks for the second factor that the account has", async () => {
    const userId = await linked("mia");
    await affected(
      kit.db,
      sql`insert into passkeys (id, user_id, public_key, counter, name, backed_up) values ('\x01', ${userId}::uuid, '', 0, 'key', false)`,
    );
    expect(await codeOf(enter(a, "mia"))).toBe("mfa.required");
  });

  it.each([
    ["suspended", "short"],
    ["banned", "short"],
    ["deactivated", "credentials.invalid"],
    ["erased", "credentials.invalid"],
  ] as const)("gives an account that is %s: %s", async (status, outcome) => {
    const userId = await linked(`state_${status}`);
    const kind = status === "suspended" ? "suspend" : "ban";
    if (outcome === "short") {
      await affected(
        kit.db,
        sql`insert into restrictions (id, user_id, kind, reason, reason_policy, expires_at)
            values (gen_random_uuid(), ${userId}::uuid, ${kind}, 'spam', 'v1', now() + interval '1 hour')`,
      );
    }
    await affected(kit.db, sql`update users set status = ${status} where id = ${userId}::uuid`);
    const entering = enter(a, `state_${status}`);
    if (outcome === "short") expect(await entering).not.toHaveProperty("refreshToken");
    else expect(await codeOf(entering)).toBe(outcome);
  });
});

describe("an address that an account has", () => {
  it.each([true, false, "true", undefined])("is never taken over, whatever the provider says of it: %s", async (says) => {
    const { user } = await kit.registered(`owner${String(says).slice(0, 1)}${typeof says}`.toLowerCase());
    expect(await codeOf(enter(a, `thief of ${user.id}`, { email: user.email.toUpperCase(), email_verified: says }))).toBe(
      "identity.address_taken",
    );
    expect(await ownerOf(`thief of ${user.id}`)).toBeUndefined();
  });

  it("is not told of where addresses are confirmed first, unless the provider has made sure of it", async () => {
    await kit.registered("told");
    const code = async (email: string, isVerified: boolean): Promise<string> =>
      await codeOf(enter(a, `asks for ${email}${isVerified}`, { email, email_verified: isVerified }, verified));
    expect(await code("told@example.com", false)).toBe("identity.address_unproved");
    expect(await code("nobody@example.com", false)).toBe("identity.address_unproved");
    expect(await code("told@example.com", true)).toBe("identity.address_taken");
    expect(await code("free@example.com", true)).toBe("ok");
  });

  it("is not told of to who may have no account", async () => {
    await kit.registered("looked");
    const ask = (email: string): Promise<string> => codeOf(enter(closed, email, { email, email_verified: true }));
    expect(await ask("looked@example.com")).toBe("identity.unknown");
    expect(await ask("unknown@example.com")).toBe("identity.unknown");
  });

  it("refuses who has none that could be an account's", async () => {
    expect(await codeOf(enter(a, "none", {}))).toBe("identity.address_missing");
    expect(await codeOf(enter(a, "odd", { email: "a\u0000b@example.com", email_verified: true }))).toBe("identity.address_missing");
  });
});

describe("an account without a password", () => {
  it("logs in by none, until a mailed link sets one", async () => {
    const { user } = await enter(a, "pam", { email: "pam@example.com", email_verified: true, preferred_username: "pam" });
    const attempt = { emailOrUsername: "pam", password: "securepass", client: testClient };
    expect(await codeOf(login(kit, attempt))).toBe("credentials.invalid");
    await forgotPassword(kit, { email: "pam@example.com", client: testClient });
    const token = (await kit.mailTo("pam@example.com")).at(-1)?.token ?? "";
    await resetPassword(kit, { token, password: "securepass", keepSessions: false, client: testClient });
    expect((await login(kit, attempt)).user.id).toBe(user.id);
    // Its address was proved before, so its identity stays.
    expect((await enter(a, "pam")).user.id).toBe(user.id);
  });

  it("is its owner's alone once they prove an address that somebody else had it made with", async () => {
    const { user } = await enter(a, "squatter", { email: "victim@example.com", email_verified: false });
    await forgotPassword(kit, { email: "victim@example.com", client: testClient });
    const token = (await kit.mailTo("victim@example.com")).at(-1)?.token ?? "";
    await resetPassword(kit, { token, password: "securepass", keepSessions: false, client: testClient });
    expect(await ownerOf("squatter")).toBeUndefined();
    expect(await codeOf(enter(a, "squatter"))).toBe("identity.address_taken");
    expect((await login(kit, { emailOrUsername: "victim@example.com", password: "securepass", client: testClient })).user.id).toBe(user.id);
  });
});

it("is rid of a stranger's identity as well where a mailed code signs its owner in", async () => {
  await enter(a, "squatter2", { email: "victim2@example.com", email_verified: false });
  await requestEmailSignIn(kit, { email: "victim2@example.com", client: testClient });
  const code = (await kit.mailTo("victim2@example.com")).at(-1)?.code ?? "";
  await signInByEmail(kit, { proof: { email: "victim2@example.com", code }, client: testClient });
  expect(await ownerOf("squatter2")).toBeUndefined();
});

describe("a response", () => {
  beforeAll(async () => {
    await enter(a, "rob", { email: "rob@example.com", email_verified: true });
  });

  it("counts once, of any number at once", async () => {
    const begun = await begin(a);
    const response = await a.signIn(begun.authorizationUrl, "rob");
    const codes = await Promise.all(Array.from({ length: 8 }, () => codeOf(complete(a, begun, response))));
    expect(codes.filter((code) => code === "ok")).toHaveLength(1);
    expect(codes.filter((code) => code === "oidc.state_invalid")).toHaveLength(7);
  });

  it("is nothing to another browser than the one that began, and stays good for that", async () => {
    const [begun, elsewhere] = [await begin(a), await begin(a)];
    const response = await a.signIn(begun.authorizationUrl, "rob");
    expect(await codeOf(complete(a, { ...begun, binding: elsewhere.binding }, response))).toBe("oidc.state_invalid");
    expect(await codeOf(complete(a, elsewhere, response))).toBe("oidc.state_invalid");
    expect(await codeOf(complete(a, begun, response))).toBe("ok");
  });

  it("is too late after ten minutes", async () => {
    const begun = await begin(a);
    const response = await a.signIn(begun.authorizationUrl, "rob");
    await affected(kit.db, sql`update one_time_tokens set expires_at = now() where purpose = 'oidc_sign_in'`);
    expect(await codeOf(complete(a, begun, response))).toBe("oidc.state_invalid");
  });

  it("brings no code into another sign-in", async () => {
    const [begun, other] = [await begin(a), await begin(a)];
    const response = new URLSearchParams(await a.signIn(begun.authorizationUrl, "rob"));
    response.set("state", other.state);
    expect(await codeOf(complete(a, other, response.toString()))).toBe("oidc.response_refused");
  });

  it("brings no code twice", async () => {
    const [begun, other] = [await begin(a), await begin(a)];
    const response = new URLSearchParams(await a.signIn(begun.authorizationUrl, "rob"));
    await complete(a, begun, response.toString());
    response.set("state", other.state);
    expect(await codeOf(complete(a, other, response.toString()))).toBe("oidc.response_refused");
  });

  it("of one provider is not taken for another's (mix-up), and no code goes to the wrong one", async () => {
    const begun = await begin(a);
    b.people.set("rob", { email: "rob-at-b@example.com", email_verified: true });
    const atB = new URL((await begin(b)).authorizationUrl);
    atB.searchParams.set("state", begun.state);
    const response = await b.signIn(atB.href, "rob");
    const asked = a.asked.length;
    expect(await codeOf(complete(b, begun, response))).toBe("oidc.state_invalid");
    expect(await codeOf(complete(a, begun, response))).toBe("oidc.response_refused");
    expect(a.asked.slice(asked)).not.toContain("/token");
  });

  it.each([
    ["without a state", (response: URLSearchParams) => response.delete("state")],
    ["with two states", (response: URLSearchParams) => response.append("state", response.get("state") ?? "")],
    [
      "with a state of ours for something else",
      (response: URLSearchParams) => response.set("state", kit.oneTimeTokens.linkText(newUuid(kit.clock))),
    ],
  ] as const)("%s is none", async (_, change) => {
    const begun = await begin(a);
    const response = new URLSearchParams(await a.signIn(begun.authorizationUrl, "rob"));
    change(response);
    expect(await codeOf(complete(a, begun, response.toString()))).toBe("oidc.state_invalid");
  });

  it.each([
    ["two codes", (response: URLSearchParams) => response.append("code", "another")],
    ["no code", (response: URLSearchParams) => response.delete("code")],
    ["no issuer, of a provider that tells it", (response: URLSearchParams) => response.delete("iss")],
  ] as const)("with %s is refused", async (_, change) => {
    const begun = await begin(a);
    const response = new URLSearchParams(await a.signIn(begun.authorizationUrl, "rob"));
    change(response);
    expect(await codeOf(complete(a, begun, response.toString()))).toBe("oidc.response_refused");
  });

  it("that says no is told as such", async () => {
    const begun = await begin(a);
    const response = new URLSearchParams({ error: "access_denied", state: begun.state, iss: a.issuer }).toString();
    expect(await codeOf(complete(a, begun, response))).toBe("oidc.denied");
  });

  it("is for no page that is not configured", async () => {
    const redirectUri = "https://app.example.com/signed-in/a/../evil";
    expect(await codeOf(beginExchange(kit, { provider: "a", redirectUri }))).toBe("oidc.redirect_refused");
    expect(await codeOf(beginExchange(kit, { provider: "nobody" }))).toBe("oidc.provider_not_found");
  });
});

describe("what the provider answers with", () => {
  /** Completes a sign-in where the token endpoint gives this id_token. */
  async function withToken(idToken: (url: string) => string | undefined): Promise<string> {
    const begun = await begin(a);
    const response = await a.signIn(begun.authorizationUrl, "rob");
    a.answers.set("/token", (_, answer) => {
      answer.setHeader("content-type", "application/json");
      answer.end(JSON.stringify({ access_token: "one", token_type: "Bearer", id_token: idToken(begun.authorizationUrl) }));
    });
    return await codeOf(complete(a, begun, response));
  }
  const past = Math.floor(Date.now() / 1000) - 3_600;
  const email = "token@example.com";

  it("is taken where the id_token is right", async () => {
    expect(await withToken((url) => a.idToken(url, { sub: "token", email, email_verified: true }))).toBe("ok");
  });

  it.each([
    ["another nonce", { nonce: "another" }],
    ["no nonce", { nonce: undefined }],
    ["another audience", { aud: "another-client" }],
    ["audiences of others, for another party", { aud: ["user-service", "another"], azp: "another" }],
    ["another issuer", { iss: "https://id.example.com" }],
    ["an end in the past", { iat: past - 300, exp: past }],
    ["no subject", { sub: undefined }],
    ["a subject with NUL", { sub: "a\u0000b" }],
    ["a subject without end", { sub: "s".repeat(256) }],
  ])("is refused where the id_token has %s", async (_, claims) => {
    expect(await withToken((url) => a.idToken(url, { email, ...claims }))).toBe("oidc.response_refused");
  });

  it.each([
    ["alg none", (payload: object) => jsonwebtoken.sign(payload, null as never, { algorithm: "none" as never })],
    ["alg HS256 with the client secret", (payload: object) => jsonwebtoken.sign(payload, CLIENT_SECRET, { algorithm: "HS256" })],
  ])("is refused where the id_token is signed with %s", async (_, sign) => {
    expect(await withToken((url) => sign(jsonwebtoken.decode(a.idToken(url, { email })) as object))).toBe("oidc.response_refused");
  });

  it("is refused where the id_token has another's signature, or is not there", async () => {
    const swapped = (url: string): string => {
      const [head, payload] = a.idToken(url, { email }).split(".");
      return [head, payload, a.idToken(url, { email, sub: "another" }).split(".")[2]].join(".");
    };
    expect(await withToken(swapped)).toBe("oidc.response_refused");
    expect(await withToken(() => undefined)).toBe("oidc.response_refused");
  });

  it("may be a name without end or that turns text round, which is not taken", async () => {
    for (const name of ["\u202egnp.exe", "n".repeat(100_000)]) {
      const { user } = await enter(a, `odd ${name.length}`, { email: `odd${name.length}@example.com`, email_verified: true, name });
      expect(user.displayName).toBe(user.username);
    }
  });

  it.each([
    ["is too large", "oidc.provider_away", "x".repeat(600 * 1024)],
    ["is not JSON", "oidc.response_refused", "<html>"],
  ])("%s: %s", async (_, code, body) => {
    const begun = await begin(a);
    const response = await a.signIn(begun.authorizationUrl, "rob");
    a.answers.set("/token", (__, answer) => void answer.end(body));
    expect(await codeOf(complete(a, begun, response))).toBe(code);
  });

  it.each([
    ["hangs", (): void => {}],
    ["drips", (answer: ServerResponse): void => void setInterval(() => answer.write(" "), 500).unref()],
    ["fails", (answer: ServerResponse): void => void answer.writeHead(500).end()],
  ] as const)(
    "is waited for three seconds where it %s",
    async (_, answer) => {
      const begun = await begin(a);
      const response = await a.signIn(begun.authorizationUrl, "rob");
      a.answers.set("/token", (__, answering) => answer(answering));
      const startedMs = performance.now();
      expect(await codeOf(complete(a, begun, response))).toBe("oidc.provider_away");
      expect(performance.now() - startedMs).toBeLessThan(4_000);
    },
    10_000,
  );

  it("is a refusal of our client secret: nobody is told that it was their fault", async () => {
    const begun = await begin(a);
    const response = await a.signIn(begun.authorizationUrl, "rob");
    a.answers.set("/token", (_, answer) => {
      answer.writeHead(401, { "content-type": "application/json", "www-authenticate": "Basic" }).end('{"error":"invalid_client"}');
    });
    expect(await codeOf(complete(a, begun, response))).toBe("oidc.provider_away");
  });

  it("is not followed elsewhere", async () => {
    let asked = 0;
    await using elsewhere = await listenOnLoopback((_, answer) => {
      asked += 1;
      answer.end("{}");
    });
    const begun = await begin(a);
    const response = await a.signIn(begun.authorizationUrl, "rob");
    a.answers.set("/token", (_, answer) => void answer.writeHead(307, { location: elsewhere.url }).end());
    expect(await codeOf(complete(a, begun, response))).toBe("oidc.response_refused");
    expect(asked).toBe(0);
  });
});
