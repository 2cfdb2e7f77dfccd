/** The providers of the configuration with their client secrets, which are looked at before the process serves. */

import type { Config } from "#src/config/config";
import { createProviders, type Providers } from "#src/features/identities/public";
import type { Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import type { Sidecar } from "#src/sidecar/port";

interface Needs {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly sidecar: Sidecar;
}

const SECRET_NAME = "oidc-client-secrets";
const READ_WITHIN_MS = 5_000;

/** No provider is called yet. @throws Error in one line when a client secret is missing; not when the secret store is away */
export async function openProviders({ config, clock, log, sidecar }: Needs): Promise<Providers> {
  const { oidcProviders: providers } = config;
  const clientSecrets = async (): Promise<Record<string, string>> =>
    parse((await sidecar.secret(SECRET_NAME, AbortSignal.timeout(READ_WITHIN_MS)))?.reveal());
  const withSecret = providers.filter(({ clientAuth }) => clientAuth !== "none");
  if (withSecret.length > 0) {
    const read = await clientSecrets().catch((error: unknown) => {
      if (error instanceof SecretsWrong) throw error;
      log.warn({ error }, "the client secrets of identity providers cannot be read yet; they are asked for at the first sign-in");
      return undefined;
    });
    const lacking = read === undefined ? undefined : withSecret.find(({ id }) => !Object.hasOwn(read, id));
    if (lacking !== undefined) throw new SecretsWrong(`has no client secret for ${lacking.id} of OIDC_PROVIDERS`);
  }
  return createProviders({ providers, clientSecrets, clock, log });
}

class SecretsWrong extends Error {
  constructor(what: string) {
    super(`the secret \`${SECRET_NAME}\` (SECRET_OIDC_CLIENT_SECRETS) ${what}: it must be JSON like {"example":"…"}`);
    this.name = "SecretsWrong";
  }
}

/** Nothing of it gets into the message. */
function parse(text: string | undefined): Record<string, string> {
  if (text === undefined) return {};
  try {
    const parsed: unknown = JSON.parse(text);
    const isRecord = typeof parsed === "object" && parsed !== null && Object.values(parsed).every((value) => typeof value === "string");
    if (isRecord) return parsed as Record<string, string>;
  } catch {
    // Told below.
  }
  throw new SecretsWrong("is not as it should be");
}
