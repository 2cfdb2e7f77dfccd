/** How a provider is called: only where it may be, without following redirects, within a time and a size. */

import type { CustomFetchOptions } from "openid-client";
import { request, type Dispatcher } from "undici";

/** For connection and whole answer of one call, in ms. Completing a sign-in makes three at most. */
const ANSWER_WITHIN_MS = 3_000;
/** A big JWK Set is 20 kB. */
const MOST_BYTES = 512 * 1024;
const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** The provider cannot be used as it is now. The message is ours, without anything of the call. */
export class ProviderTrouble extends Error {}

/** Whether the issuer is a program on this machine: only then calls may be plain http. */
export function isLoopback(issuer: string): boolean {
  return LOOPBACK.has(new URL(issuer).hostname);
}

/**
 * Whether a provider of this issuer may name that address: https with a host name, so that it cannot point us at addresses of our
 * own network; its own host whatever it is; of an issuer on loopback, loopback too.
 */
export function mayName(url: string, issuer: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname, username, password } = new URL(url);
  if (username !== "" || password !== "") return false;
  if (isLoopback(issuer) && LOOPBACK.has(hostname)) return protocol === "http:" || protocol === "https:";
  return protocol === "https:" && (hostname === new URL(issuer).hostname || isPublicName(hostname));
}

function isPublicName(hostname: string): boolean {
  if (hostname.startsWith("[") || /^[\d.]+$/.test(hostname)) return false;
  return hostname.includes(".") && !/\.(localhost|local|internal)\.?$/.test(hostname);
}

type ProviderFetch = (url: string, options: CustomFetchOptions) => Promise<Response>;

/** `fetch` for the library, for one provider. @throws ProviderTrouble */
export function providerFetch(issuer: string, dispatcher: Dispatcher): ProviderFetch {
  return async (url, { method, headers, body }) => {
    if (!mayName(url, issuer)) throw new ProviderTrouble("it names an address that it may not name");
    const text = typeof body === "string" || body instanceof URLSearchParams ? body.toString() : null;
    const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
    const options = { dispatcher, signal, method: method as Dispatcher.HttpMethod, headers: { ...headers, "user-agent": "user-service" } };
    try {
      return await asResponse(await request(url, { ...options, body: text }));
    } catch (error) {
      throw troubleOf(error);
    }
  };
}

async function asResponse({ statusCode: status, headers, body }: Dispatcher.ResponseData): Promise<Response> {
  if (status >= 500 || status === 429) {
    // Cut, not read; the cut is an error of the stream that nobody else waits for.
    body.on("error", () => {}).destroy();
    throw new ProviderTrouble(`it answered ${status}`);
  }
  const whole = await read(body as AsyncIterable<Buffer>);
  const type = headers["content-type"];
  const known = typeof type === "string" ? { "content-type": type } : {};
  return new Response(whole.length === 0 ? null : new Uint8Array(whole), { status, headers: known });
}

/** Its code, for its message may hold the call. */
function troubleOf(error: unknown): ProviderTrouble {
  if (error instanceof ProviderTrouble) return error;
  const { name = "Error", code } = error as { readonly name?: string; readonly code?: unknown };
  if (name === "TimeoutError") return new ProviderTrouble(`no answer within ${ANSWER_WITHIN_MS} ms`);
  return new ProviderTrouble(typeof code === "string" ? code : name);
}

async function read(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new ProviderTrouble(`its answer is larger than ${MOST_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
