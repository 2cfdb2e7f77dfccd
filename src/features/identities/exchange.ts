/** The two halves of a sign-in at another provider (authorization code with PKCE): sending people there, and taking what they bring back. */

import { createHash } from "node:crypto";
import { z } from "zod";
import type { Db } from "#src/db/pool";
import { inTx, type Tx } from "#src/db/tx";
import type { Seals } from "#src/features/factors/public";
import { insertToken, LIFETIME_SECONDS, takeBound, type OneTimeToken, type OneTimeTokens } from "#src/features/one-time-tokens/public";
import type { Clock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import type { Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { randomBytes } from "#src/kernel/random";
import { provedIdentity, type ProvedIdentity } from "./claims.ts";
import { providerAway, providerDenied, redirectRefused, responseRefused, stateInvalid } from "./identities.errors.ts";
import { troubleIn, wordsOf, type OpenProvider, type Providers } from "./providers.ts";

/** What both halves need. */
export interface ExchangeNeeds {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
  readonly seals: Seals;
  readonly oneTimeTokens: OneTimeTokens;
  readonly providers: Providers;
}

type Owner = { readonly userId: string; readonly sessionId: string };

/** Where to send somebody, and what their client keeps until they are back. */
export interface Begun {
  readonly authorizationUrl: string;
  readonly state: string;
  /** Proves that who completes it is who began it. */
  readonly binding: string;
  readonly expiresInSeconds: number;
}

/** What a client brings back. */
export interface Returned {
  readonly provider: string;
  /** The query of the page's address, as it came. */
  readonly response: string;
  readonly binding: string;
}

const kept = z.object({ redirectUri: z.string(), kid: z.string(), sealed: z.base64() });
const secrets = z.object({ verifier: z.string(), nonce: z.string() });

/**
 * Begins. @param owner who links, in which session; else it is a sign-in, and nobody's yet
 * @param check runs with the transaction that keeps the state
 * @throws Problem `oidc.provider_not_found`, `oidc.provider_away`, `oidc.redirect_refused`
 */
export async function beginExchange(
  deps: ExchangeNeeds,
  input: { readonly provider: string; readonly redirectUri?: string | undefined; readonly owner?: Owner },
  check: (tx: Tx) => Promise<void> = () => Promise.resolve(),
): Promise<Begun> {
  const { provider } = input;
  const { redirectUris } = deps.providers.named(provider);
  const redirectUri = input.redirectUri ?? redirectUris[0];
  if (redirectUri === undefined || !redirectUris.includes(redirectUri)) throw new Problem(redirectRefused);
  const opened = await deps.providers.open(provider);
  const { library } = opened;
  const [verifier, nonce, binding] = [library.randomPKCECodeVerifier(), library.randomNonce(), randomBytes(32).toString("base64url")];
  const id = newUuid(deps.clock);
  const { kid, sealed } = deps.seals.seal(Buffer.from(JSON.stringify({ verifier, nonce })), `oidc:${id}`);
  const purpose = purposeOf(input.owner);
  const lifetimeSeconds = LIFETIME_SECONDS[purpose];
  await inTx(deps.db, async (tx) => {
    await check(tx);
    const data = { ...boundTo({ ...input, binding }), redirectUri, kid, sealed: sealed.toString("base64") };
    await insertToken(tx, { id, purpose, userId: input.owner?.userId ?? null, email: "", data, lifetimeSeconds });
  });
  const state = deps.oneTimeTokens.linkText(id);
  const url = library.buildAuthorizationUrl(opened.configuration, {
    redirect_uri: redirectUri,
    scope: opened.provider.scopes.join(" "),
    code_challenge: await library.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    nonce,
  });
  return { authorizationUrl: url.href, state, binding, expiresInSeconds: lifetimeSeconds };
}

/**
 * Takes what somebody brought back, once, from the client that began. Nothing of the provider's tokens outlives this call.
 * @throws Problem `oidc.state_invalid`, `oidc.denied`, `oidc.response_refused`, `oidc.provider_not_found`, `oidc.provider_away`
 */
export async function completeExchange(
  deps: ExchangeNeeds,
  { response, ...rest }: Returned & { readonly owner?: Owner },
): Promise<ProvedIdentity> {
  const input = { ...rest, response: response.replace(/^\?/, "") };
  // Before the state is used: who is away leaves it for another try.
  const opened = await deps.providers.open(input.provider);
  const token = await takeState(deps, input);
  if (token === undefined) throw new Problem(stateInvalid);
  const { redirectUri, kid, sealed } = kept.parse(token.data);
  const opening = deps.seals.open({ kid, sealed: Buffer.from(sealed, "base64") }, `oidc:${token.id}`);
  const claims = await claimsOf(deps, opened, {
    returnedTo: new URL(`${redirectUri}?${input.response}`),
    state: deps.oneTimeTokens.linkText(token.id),
    ...secrets.parse(JSON.parse(opening.toString())),
  });
  return provedIdentity(opened.provider, claims);
}

/** One state of the response, of this provider, client and, to link, session and account. */
async function takeState(deps: ExchangeNeeds, input: Returned & { readonly owner?: Owner }): Promise<OneTimeToken | undefined> {
  const [state, ...more] = new URLSearchParams(input.response).getAll("state");
  const id = state === undefined || more.length > 0 ? undefined : deps.oneTimeTokens.idOf(state);
  if (id === undefined) return undefined;
  return await inTx(deps.db, (tx) => takeBound(tx, { id, purpose: purposeOf(input.owner), bound: boundTo(input) }));
}

function purposeOf(owner: Owner | undefined): "oidc_sign_in" | "oidc_link" {
  return owner === undefined ? "oidc_sign_in" : "oidc_link";
}

function boundTo({
  provider,
  binding,
  owner,
}: {
  readonly provider: string;
  readonly binding: string;
  readonly owner?: Owner;
}): Record<string, string> {
  const digest = createHash("sha256").update(binding).digest("hex");
  return { provider, binding: digest, ...(owner === undefined ? {} : { sessionId: owner.sessionId, owner: owner.userId }) };
}

interface Expected {
  readonly returnedTo: URL;
  readonly state: string;
  readonly verifier: string;
  readonly nonce: string;
}

/** Code → tokens → claims. The address is asked for where the id_token lacks it, as strict providers have it. */
async function claimsOf(deps: ExchangeNeeds, opened: OpenProvider, expected: Expected): Promise<Readonly<Record<string, unknown>>> {
  const { library, configuration } = opened;
  try {
    const tokens = await library.authorizationCodeGrant(configuration, expected.returnedTo, {
      pkceCodeVerifier: expected.verifier,
      expectedState: expected.state,
      expectedNonce: expected.nonce,
      idTokenExpected: true,
    });
    const claims = tokens.claims();
    if (claims === undefined) throw new Problem(responseRefused);
    if (claims["email"] !== undefined || configuration.serverMetadata().userinfo_endpoint === undefined) return claims;
    return { ...(await library.fetchUserInfo(configuration, tokens.access_token, claims.sub)), sub: claims.sub };
  } catch (error) {
    throw refusalOf(deps, opened, error);
  }
}

/** The one who signs in is told whether to begin again or to wait; why is in the log, in codes. */
function refusalOf({ log }: ExchangeNeeds, { provider }: OpenProvider, error: unknown): Error {
  if (error instanceof Problem) return error;
  const { name, error: said } = error as { readonly name?: string; readonly error?: unknown };
  const fields = { provider: provider.id, why: wordsOf(error) };
  if (said === "invalid_client" || said === "unauthorized_client") {
    log.error({ provider: provider.id }, "an identity provider does not take our client id and secret");
    return new Problem(providerAway, { retryAfterSeconds: 60 });
  }
  if (troubleIn(error) !== undefined) {
    log.warn(fields, "an identity provider failed while somebody signed in");
    return new Problem(providerAway, { retryAfterSeconds: 5 });
  }
  if (name === "AuthorizationResponseError") return new Problem(providerDenied);
  log.warn(fields, "a response of an identity provider was refused");
  return new Problem(responseRefused);
}
