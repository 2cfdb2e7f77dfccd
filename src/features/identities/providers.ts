/** The providers of the configuration, and what each says of itself: asked for when first wanted, kept, asked for again. */

import type * as Library from "openid-client";
import type { ClientAuth, Configuration } from "openid-client";
import { Agent } from "undici";
import type { Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { providerAway, providerNotFound } from "./identities.errors.ts";
import { isLoopback, mayName, providerFetch, ProviderTrouble } from "./provider-fetch.ts";

/** One that people may sign in through; each member as OIDC_PROVIDERS has it. */
export interface OidcProvider {
  readonly id: string;
  readonly issuer: string;
  readonly clientId: string;
  readonly displayName: string;
  readonly redirectUris: readonly string[];
  readonly scopes: readonly string[];
  readonly newAccounts: boolean;
  readonly clientAuth: "basic" | "post" | "none";
}

/** A provider that has told where its endpoints are. */
export interface OpenProvider {
  readonly provider: OidcProvider;
  readonly library: typeof Library;
  readonly configuration: Configuration;
}

export interface Providers {
  readonly all: readonly OidcProvider[];
  /** @throws Problem `oidc.provider_not_found` */
  readonly named: (id: string) => OidcProvider;
  /** @throws Problem `oidc.provider_not_found`, `oidc.provider_away` */
  readonly open: (id: string) => Promise<OpenProvider>;
  readonly close: () => Promise<void>;
}

interface Options {
  readonly providers: readonly OidcProvider[];
  /** By the provider's id. @throws Error while they cannot be read */
  readonly clientSecrets: () => Promise<Readonly<Record<string, string>>>;
  readonly clock: Clock;
  readonly log: Log;
}

/** After it the provider is asked again; while it does not answer, what it said before holds for a day. */
const FRESH_MS = 60 * 60_000;
const STALE_MS = 24 * FRESH_MS;
/** Who was away is not asked again for so long: else everybody who tries would wait. */
const PAUSE_MS = 5_000;

interface Known {
  readonly opened: Omit<OpenProvider, "provider">;
  readonly atMs: number;
}

/** Connects at the first sign-in. Close it at the end. */
export function createProviders({ providers, clientSecrets, clock, log }: Options): Providers {
  // No HTTP/2: an answer that comes just when its request was given up could end this process (controller/kube.ts).
  const dispatcher = new Agent({ connections: 16, allowH2: false, connect: { timeout: 3_000 } });
  const byId = new Map(providers.map((provider) => [provider.id, keeper(provider)]));

  function keeper(provider: OidcProvider): { readonly provider: OidcProvider; readonly open: () => Promise<OpenProvider> } {
    let known: Known | undefined;
    let failedAtMs = Number.NEGATIVE_INFINITY;
    let asking: Promise<void> | undefined;
    const ask = async (): Promise<void> => {
      try {
        known = { opened: await discover(provider), atMs: clock.monotonicMs() };
      } catch (error) {
        failedAtMs = clock.monotonicMs();
        log.warn({ provider: provider.id, why: wordsOf(error) }, "an identity provider cannot be used; it is asked again");
      } finally {
        asking = undefined;
      }
    };
    const open = async (): Promise<OpenProvider> => {
      const isFresh = known !== undefined && clock.monotonicMs() - known.atMs < FRESH_MS;
      if (!isFresh && clock.monotonicMs() - failedAtMs >= PAUSE_MS) await (asking ??= ask());
      if (known === undefined || clock.monotonicMs() - known.atMs > STALE_MS) throw new Problem(providerAway, { retryAfterSeconds: 5 });
      return { provider, ...known.opened };
    };
    return { provider, open };
  }

  async function discover(provider: OidcProvider): Promise<Known["opened"]> {
    // Loaded at the first sign-in only.
    const library = await import("openid-client");
    const { issuer, clientId } = provider;
    const configuration = await library.discovery(new URL(issuer), clientId, {}, await authOf(library, provider), {
      [library.customFetch]: providerFetch(issuer, dispatcher),
      // Signatures of id_tokens are checked, although they come over TLS.
      execute: [library.enableNonRepudiationChecks, ...(isLoopback(issuer) ? [library.allowInsecureRequests] : [])],
    });
    checkMetadata(configuration, issuer);
    return { library, configuration };
  }

  async function authOf(library: typeof Library, { id, clientAuth }: OidcProvider): Promise<ClientAuth> {
    if (clientAuth === "none") return library.None();
    const secret = (await clientSecrets())[id];
    if (secret === undefined) throw new ProviderTrouble("its client secret is missing in `oidc-client-secrets`");
    return clientAuth === "post" ? library.ClientSecretPost(secret) : library.ClientSecretBasic(secret);
  }

  const one = (id: string): ReturnType<typeof keeper> => {
    const found = byId.get(id);
    if (found === undefined) throw new Problem(providerNotFound);
    return found;
  };
  return {
    all: providers,
    named: (id) => one(id).provider,
    open: async (id) => await one(id).open(),
    close: () => dispatcher.destroy(),
  };
}

/** @throws ProviderTrouble when it is another issuer, or names what it may not */
function checkMetadata(configuration: Configuration, issuer: string): void {
  const metadata = configuration.serverMetadata();
  if (metadata.issuer !== issuer) throw new ProviderTrouble("it is another issuer, to the letter");
  const { authorization_endpoint: authorize, token_endpoint: token, jwks_uri: keys, userinfo_endpoint: userinfo } = metadata;
  const wanted = [authorize, token, keys, ...(userinfo === undefined ? [] : [userinfo])];
  if (!wanted.every((url) => url !== undefined && mayName(url, issuer)))
    throw new ProviderTrouble("it names an endpoint that it may not name, or lacks one");
}

/** Our own words, or the code of what failed below us: what a provider says is not for the log. */
export function wordsOf(error: unknown): string {
  const trouble = troubleIn(error);
  if (trouble !== undefined) return trouble.message;
  const { name = "Error", code } = error as { readonly name?: string; readonly code?: unknown };
  return typeof code === "string" ? code : name;
}

/** What of our own the library has wrapped. */
export function troubleIn(error: unknown): ProviderTrouble | undefined {
  for (let one = error; one instanceof Error; one = one.cause) if (one instanceof ProviderTrouble) return one;
  return undefined;
}
