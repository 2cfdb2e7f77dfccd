import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { systemClock, type Clock } from "#src/kernel/clock";
import { silentLog } from "#src/kernel/log";
import { listenOnLoopback } from "../../../test/kit/identity-provider.ts";
import { codeOf } from "../../../test/kit/outcome.ts";
import { isLoopback, mayName } from "./provider-fetch.ts";
import { createProviders, type OidcProvider, type Providers } from "./providers.ts";

describe("what a provider may name", () => {
  it.each([
    ["https://id.example.com/token", true],
    ["https://keys.elsewhere.example/jwks", true],
    ["http://id.example.com/token", false],
    ["https://user@id.example.com/token", false],
    ["https://127.0.0.1/token", false],
    ["https://169.254.169.254/latest", false],
    ["https://[::1]/token", false],
    ["https://[fd00::1]/token", false],
    ["https://localhost/token", false],
    ["https://2130706433/token", false],
    ["https://0x7f.1/token", false],
    ["https://postgres/token", false],
    ["https://a.svc.cluster.local/token", false],
    ["https://metadata.google.internal/token", false],
    ["http://127.0.0.1:3000/token", false],
    ["file:///etc/passwd", false],
    ["no url", false],
  ])("of an issuer out there: %s %s", (url, may) => {
    expect(mayName(url, "https://id.example.com")).toBe(may);
  });

  it("its own host, whatever it is, and loopback only of an issuer there", () => {
    expect(mayName("https://idp/token", "https://idp")).toBe(true);
    expect(mayName("http://127.0.0.1:1/token", "http://127.0.0.1:2")).toBe(true);
    expect(mayName("http://id.example.com/token", "http://127.0.0.1:2")).toBe(false);
    expect(["https://localhost.example.com", "http://localhost:1"].map(isLoopback)).toEqual([false, true]);
  });
});

describe("a provider", () => {
  let stack: AsyncDisposableStack;
  let issuer: string;
  let metadata: Record<string, unknown> | "hangs" | "away";
  let asked: number;
  let nowMs: number;
  let providers: Providers;

  beforeEach(async () => {
    stack = new AsyncDisposableStack();
    asked = 0;
    nowMs = 0;
    const server = stack.use(
      await listenOnLoopback((_, answer) => {
        asked += 1;
        if (metadata === "hangs") return;
        if (metadata === "away") answer.statusCode = 503;
        answer.setHeader("content-type", "application/json").end(JSON.stringify(metadata));
      }),
    );
    issuer = server.url;
    metadata = {
      issuer,
      authorization_endpoint: `${issuer}/auth`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/keys`,
    };
    const provider: OidcProvider = {
      id: "a",
      issuer,
      clientId: "user-service",
      displayName: "A",
      redirectUris: ["https://app.example.com/a"],
      scopes: ["openid"],
      newAccounts: true,
      clientAuth: "none",
    };
    const clock: Clock = { ...systemClock, monotonicMs: () => nowMs };
    providers = createProviders({ providers: [provider], clientSecrets: () => Promise.resolve({}), clock, log: silentLog });
    stack.defer(() => providers.close());
  });
  afterEach(() => stack.disposeAsync());
  const open = (): Promise<string> => codeOf(providers.open("a"));

  it("is asked once by many at once, and not again for an hour", async () => {
    expect(await Promise.all([open(), open(), open()])).toEqual(["ok", "ok", "ok"]);
    nowMs = 59 * 60_000;
    expect([await open(), asked]).toEqual(["ok", 1]);
    nowMs = 61 * 60_000;
    expect([await open(), asked]).toEqual(["ok", 2]);
  });

  it("that is away is refused at once, asked again after a pause, and then there", async () => {
    const right = metadata;
    metadata = "away";
    expect([await open(), await open(), asked]).toEqual(["oidc.provider_away", "oidc.provider_away", 1]);
    metadata = right;
    nowMs = 5_000;
    expect([await open(), asked]).toEqual(["ok", 2]);
  });

  it("that goes away is known by what it said before, for a day", async () => {
    await open();
    metadata = "away";
    nowMs = 23 * 60 * 60_000;
    expect(await open()).toBe("ok");
    nowMs = 25 * 60 * 60_000;
    expect(await open()).toBe("oidc.provider_away");
  });

  it("that hangs is waited for three seconds", async () => {
    metadata = "hangs";
    const startedMs = performance.now();
    expect(await open()).toBe("oidc.provider_away");
    expect(performance.now() - startedMs).toBeLessThan(4_000);
  });

  it.each([
    ["is another issuer", { issuer: "http://127.0.0.1:1" }],
    ["is another issuer by a slash", { issuer: "slash" }],
    ["has a token endpoint in plain text elsewhere", { token_endpoint: "http://id.example.com/token" }],
    ["has keys at an address of our network", { jwks_uri: "https://10.0.0.1/keys" }],
    ["sends people to something that is no page", { authorization_endpoint: "javascript:alert(1)" }],
    ["has userinfo in a file", { userinfo_endpoint: "file:///etc/passwd" }],
    ["has no keys", { jwks_uri: undefined }],
  ])("that %s is not used", async (_, wrong: Record<string, unknown>) => {
    metadata = { ...(metadata as object), ...wrong, ...(wrong["issuer"] === "slash" && { issuer: `${issuer}/` }) };
    expect(await open()).toBe("oidc.provider_away");
  });
});
