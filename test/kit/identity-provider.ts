/** An identity provider on loopback: oidc-provider, with people of the test's own who agree to everything, and answers of hers in place of any of its own. */

import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import jsonwebtoken from "jsonwebtoken";
import { Provider, type Adapter, type AdapterPayload } from "oidc-provider";
import type { OidcProvider } from "#src/features/identities/public";
import { CLIENT_SECRET } from "./sign-in.ts";

/** Claims of a person there. */
type Claims = Readonly<Record<string, unknown>>;
type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export interface IdentityProvider extends AsyncDisposable {
  readonly issuer: string;
  /** As the configuration has it. */
  readonly configured: OidcProvider;
  /** Claims by subject; read anew at each sign-in. */
  readonly people: Map<string, Claims>;
  /** In place of the answer at a path, e.g. `/token`. */
  readonly answers: Map<string, Answer>;
  /** Paths that were asked for. */
  readonly asked: string[];
  /** Signs somebody in at an authorization URL, as a browser would, and gives the query that comes back. */
  readonly signIn: (authorizationUrl: string, subject: string) => Promise<string>;
  /** An id_token under its key, for whoever began at this URL; `claims` over what is right. */
  readonly idToken: (authorizationUrl: string, claims: Claims) => string;
}

/** Starts one that is configured under this id. @param options over what is usual */
export async function startIdentityProvider(id: string, options: Partial<OidcProvider> = {}): Promise<IdentityProvider> {
  const people = new Map<string, Claims>();
  const answers = new Map<string, Answer>();
  const asked: string[] = [];
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  let listener: Answer = (_, response) => void response.writeHead(503).end();
  const server = await listenOnLoopback((request, response) => {
    const path = (request.url ?? "").split("?")[0] ?? "";
    asked.push(path);
    (answers.get(path) ?? listener)(request, response);
  });
  const issuer = server.url;
  const configured: OidcProvider = {
    id,
    issuer,
    clientId: "user-service",
    displayName: `Provider ${id}`,
    redirectUris: [`https://app.example.com/signed-in/${id}`],
    scopes: ["openid", "email", "profile"],
    newAccounts: true,
    clientAuth: "basic",
    ...options,
  };
  let whoSignsIn = "";
  const provider = providerOf({ configured, people, key: privateKey.export({ format: "jwk" }) });
  const callback = provider.callback();
  listener = (request, response) => {
    if (request.url?.startsWith("/interaction/") !== true) return void callback(request, response);
    void provider
      .interactionFinished(request, response, { login: { accountId: whoSignsIn }, consent: {} }, { mergeWithLastSubmission: true })
      .catch((error: unknown) => response.writeHead(500).end(String(error)));
  };
  return {
    issuer,
    configured,
    people,
    answers,
    asked,
    signIn: async (authorizationUrl, subject) => {
      whoSignsIn = subject;
      return await browse(authorizationUrl, issuer);
    },
    idToken: (authorizationUrl, claims) => {
      const nonce = new URL(authorizationUrl).searchParams.get("nonce");
      const now = Math.floor(Date.now() / 1000);
      const payload = { iss: issuer, aud: configured.clientId, sub: "somebody", iat: now, exp: now + 300, nonce, ...claims };
      return jsonwebtoken.sign(payload, privateKey.export({ format: "pem", type: "pkcs8" }), { algorithm: "RS256", keyid: "key" });
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** An HTTP server on a free port of 127.0.0.1. */
export async function listenOnLoopback(listener: Answer): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function providerOf({
  configured,
  people,
  key,
}: {
  readonly configured: OidcProvider;
  readonly people: ReadonlyMap<string, Claims>;
  readonly key: object;
}): Provider {
  const { issuer, clientId, redirectUris } = configured;
  const provider = new Provider(issuer, {
    clients: [{ client_id: clientId, client_secret: CLIENT_SECRET, redirect_uris: [...redirectUris], response_types: ["code"] }],
    jwks: { keys: [{ ...key, kid: "key", use: "sig", alg: "RS256" }] as never },
    cookies: { keys: ["of the test"] },
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "nickname", "preferred_username"] },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
    adapter: Kept,
    ttl: { Interaction: 600, Session: 600, Grant: 600, AccessToken: 600, IdToken: 600, AuthorizationCode: 60 },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => Promise.resolve({ sub, ...people.get(sub) }) }),
    loadExistingGrant: async (ctx) => {
      const { accountId } = ctx.oidc.session ?? {};
      const grant = new ctx.oidc.provider.Grant({ ...(accountId === undefined ? {} : { accountId }), clientId });
      grant.addOIDCScope("openid email profile");
      await grant.save();
      return grant;
    },
  });
  // Whatever goes wrong there is for the test to see in what it answers.
  provider.on("server_error", () => {});
  return provider;
}

/** What oidc-provider keeps, in memory; its own one warns at each start. */
class Kept implements Adapter {
  readonly #entries = new Map<string, AdapterPayload>();

  upsert(id: string, payload: AdapterPayload): Promise<undefined> {
    this.#entries.set(id, payload);
    return Promise.resolve(undefined);
  }

  find(id: string): Promise<AdapterPayload | undefined> {
    return Promise.resolve(this.#entries.get(id));
  }

  findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return Promise.resolve([...this.#entries.values()].find((payload) => payload.uid === uid));
  }

  findByUserCode(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  consume(id: string): Promise<undefined> {
    const payload = this.#entries.get(id);
    if (payload !== undefined) this.#entries.set(id, { ...payload, consumed: Math.floor(Date.now() / 1000) });
    return Promise.resolve(undefined);
  }

  destroy(id: string): Promise<undefined> {
    this.#entries.delete(id);
    return Promise.resolve(undefined);
  }

  revokeByGrantId(grantId: string): Promise<undefined> {
    for (const [id, payload] of this.#entries) if (payload.grantId === grantId) this.#entries.delete(id);
    return Promise.resolve(undefined);
  }
}

/** Follows redirects with cookies until they leave the provider. */
async function browse(from: string, issuer: string): Promise<string> {
  const jar = new Map<string, string>();
  let at = from;
  for (let hops = 0; hops < 10; hops += 1) {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
    const answer = await fetch(at, { redirect: "manual", headers: { cookie } });
    for (const line of answer.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === "") jar.delete(name);
      else jar.set(name, value);
    }
    const to = answer.headers.get("location");
    if (to === null) throw new Error(`the provider answered ${answer.status}: ${await answer.text()}`);
    at = new URL(to, at).href;
    if (!at.startsWith(`${issuer}/`)) return new URL(at).search.slice(1);
  }
  throw new Error("the provider goes round in circles");
}
