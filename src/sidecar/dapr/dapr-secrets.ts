/** Secrets through daprd, from whichever store the component `secrets` is. */

import { Secret } from "#src/kernel/secret";
import { checkSecretName } from "../port.ts";
import type { DaprAnswer, DaprClient } from "./dapr-client.ts";
import { DaprError, errorCodeOf, messageOf } from "./dapr-errors.ts";

const STORE = "secrets";

/**
 * Reads one secret. A file or an environment variable holds one text. A Kubernetes Secret holds a map: the key named like the
 * secret counts, then `value`, then the only one there is.
 * @throws Error when there are several keys and none of those names, or daprd could not ask
 */
export async function readDaprSecret(client: DaprClient, name: string, signal: AbortSignal): Promise<Secret<string> | undefined> {
  checkSecretName(name);
  const answer = await client.call({ method: "GET", path: `/v1.0/secrets/${STORE}/${encodeURIComponent(name)}` }, signal);
  if (isAbsent(answer)) return undefined;
  if (answer.status !== 200) throw new DaprError(`reading the secret ${name}`, answer);
  const text = pick(JSON.parse(answer.text) as Record<string, string>, name);
  // The store of environment variables gives an empty text for one that is not set.
  return text === "" ? undefined : new Secret(text);
}

/** local.file and kubernetes answer 500, with nothing but their words to tell it from a store that is away; others 204. */
function isAbsent(answer: DaprAnswer): boolean {
  if (answer.status === 204) return true;
  return answer.status === 500 && errorCodeOf(answer) === "ERR_SECRET_GET" && /\bnot found\b/.test(messageOf(answer));
}

function pick(entries: Readonly<Record<string, string>>, name: string): string {
  const values = Object.values(entries);
  const text = entries[name] ?? entries["value"] ?? (values.length === 1 ? values[0] : undefined);
  if (typeof text !== "string") throw new Error(`the secret ${name} has several keys: name one of them "value"`);
  return text;
}
