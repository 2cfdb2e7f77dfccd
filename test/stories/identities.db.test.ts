/** Signing in through another provider against running processes: a page in cookie mode, an account of one's own, and what starts or does not. */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import type { Answer, ProblemBody } from "../kit/http-client.ts";
import { startIdentityProvider, type IdentityProvider } from "../kit/identity-provider.ts";
import { serverPort } from "../kit/ports.ts";
import { logIn, registerPerson, startApiProcess, type ApiProcess, type SignedInBody } from "../kit/service.ts";
import { CLIENT_SECRET } from "../kit/sign-in.ts";

const stack = new AsyncDisposableStack();
let database: TestDatabase;
let provider: IdentityProvider;
let api: ApiProcess;

const ORIGIN = "https://app.example.com";
const SECRETS = { SECRET_OIDC_CLIENT_SECRETS: JSON.stringify({ example: CLIENT_SECRET, away: "unused" }) };

beforeAll(async () => {
  database = stack.use(await cloneDatabase());
  provider = stack.use(await startIdentityProvider("example"));
  // Nobody listens there.
  const issuer = `http://127.0.0.1:${await serverPort()}`;
  const away = { ...provider.configured, id: "away", issuer, redirectUris: [`${ORIGIN}/signed-in/away`] };
  const env = {
    ...SECRETS,
    OIDC_PROVIDERS: JSON.stringify([provider.configured, away]),
    PUBLIC_URL: "https://id.example.com",
    CORS_ORIGINS: ORIGIN,
  };
  api = stack.use(await startApiProcess({ database, env }));
}, 60_000);
afterAll(() => stack.disposeAsync());

interface Begun {
  readonly authorizationUrl: string;
  readonly binding: string;
}

async function back(subject: string, path = "/api/auth/oidc/example", token?: string): Promise<{ response: string; binding: string }> {
  const { status, body } = await api.http.post<Begun>(`${path}/begin`, {}, token);
  expect(status).toBe(200);
  return { response: await provider.signIn(body.authorizationUrl, subject), binding: body.binding };
}

const complete = (body: object): Promise<Answer<SignedInBody & ProblemBody>> => api.http.post("/api/auth/oidc/example/complete", body);

describe("signing in through another provider", () => {
  it("is offered by what is configured, and nothing that is secret", async () => {
    const { body } = await api.http.get("/api/auth/oidc");
    expect(body).toEqual({
      data: [
        { id: "example", displayName: "Provider example", newAccounts: true },
        { id: "away", displayName: "Provider example", newAccounts: true },
      ],
    });
  });

  it("makes an account, which signs in again, is listed, and keeps its last way in", async () => {
    provider.people.set("ann", { email: "ann@example.com", email_verified: true, name: "Ann" });
    const first = await complete({ ...(await back("ann")), username: "ann_of_it" });
    expect([first.status, first.body.user.username]).toEqual([200, "ann_of_it"]);
    const again = await complete(await back("ann"));
    expect(again.body.user.id).toBe(first.body.user.id);
    const token = again.body.accessToken;
    const listed = await api.http.get<{ data: { id: string; provider: string }[] }>("/api/users/me/identities", token);
    expect(listed.body.data).toMatchObject([{ provider: "example", email: "ann@example.com" }]);
    const path = `/api/users/me/identities/${listed.body.data[0]?.id ?? ""}`;
    expect((await api.http.send<ProblemBody>("DELETE", path, { token })).body.code).toBe("identity.last_way_in");
  });

  it("gives a page its refresh token as a cookie", async () => {
    const body = await back("ann");
    const headers = { Origin: ORIGIN, "X-Session-Mode": "cookie" };
    const answer = await api.http.send<SignedInBody>("POST", "/api/auth/oidc/example/complete", { body, headers });
    expect([answer.status, answer.body.refreshToken]).toEqual([200, undefined]);
    expect(String(answer.headers["set-cookie"])).toMatch(/^__Host-refresh=/);
  });

  it("links to the account of whoever is signed in, and unlinks", async () => {
    await registerPerson(api.http, "bea");
    const { accessToken: token } = await logIn(api.http, "bea");
    const path = "/api/users/me/identities";
    const linked = await api.http.post<{ id: string }>(`${path}/example/complete`, await back("bea", `${path}/example`, token), token);
    expect(linked.status).toBe(201);
    expect((await complete(await back("bea"))).body.user.username).toBe("bea");
    expect((await api.http.send("DELETE", `${path}/${linked.body.id}`, { token })).status).toBe(204);
    expect((await complete(await back("bea"))).body.code).toBe("identity.address_missing");
  });

  it("answers 503 for a provider that is away, and serves on", async () => {
    const answer = await api.http.post<ProblemBody>("/api/auth/oidc/away/begin", {});
    expect([answer.status, answer.body.code]).toEqual([503, "oidc.provider_away"]);
    expect(answer.headers["retry-after"]).toBe("5");
    expect((await api.http.get("/health/ready")).status).toBe(200);
    expect((await api.http.post<ProblemBody>("/api/auth/oidc/nobody/begin", {})).body.code).toBe("oidc.provider_not_found");
  });
});

describe("a process whose providers are not configured rightly", () => {
  it.each([
    ["is told of it", { OIDC_PROVIDERS: '[{"id":"x"}]' }, /OIDC_PROVIDERS: must be: a JSON list of providers; 0\.issuer/],
    ["lacks a client secret", { SECRET_OIDC_CLIENT_SECRETS: "{}" }, /has no client secret for example of OIDC_PROVIDERS/],
    [
      "has secrets that are no JSON",
      { SECRET_OIDC_CLIENT_SECRETS: "hunter2" },
      /oidc-client-secrets` \(SECRET_OIDC_CLIENT_SECRETS\) is not as it should be/,
    ],
  ])(
    "does not start where it %s",
    async (_, wrong, words) => {
      const env = { OIDC_PROVIDERS: JSON.stringify([provider.configured]), ...SECRETS, ...wrong };
      const failed = startApiProcess({ database, env });
      await expect(failed).rejects.toThrow(words);
      await expect(failed).rejects.not.toThrow(/hunter2/);
    },
    60_000,
  );
});
