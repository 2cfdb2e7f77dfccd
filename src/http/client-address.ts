/** Who is at the other end: the address by trusted hops, and the key that throttles count by. Koa's `proxy`, `ip` and `hostname` stay unused. */

import type { IncomingMessage } from "node:http";
import { isIP, isIPv4 } from "node:net";
import type { Client } from "#src/kernel/actor";
import { addressKey } from "#src/kernel/address";
import { localeOf } from "#src/kernel/locale";

/** Longer user agents are cut: they are shown in session lists, not parsed. */
const MAX_USER_AGENT_LENGTH = 300;

/**
 * Works out the client of a request.
 * @param trustedProxyHops how many entries from the right of `X-Forwarded-For` proxies of ours wrote; with 0 the header is not
 * read at all. An entry that is missing or no address gives the socket's address: a forger gains nothing by garbage.
 */
export function clientOf(request: IncomingMessage, trustedProxyHops: number): Client {
  const own = normalized(request.socket.remoteAddress ?? "") ?? "unknown";
  const forwarded = trustedProxyHops > 0 ? forwardedAddress(request.headers["x-forwarded-for"], trustedProxyHops) : undefined;
  const address = forwarded ?? own;
  const { "user-agent": userAgent = "", "accept-language": language } = request.headers;
  return { address, addressKey: addressKey(address), userAgent: userAgent.slice(0, MAX_USER_AGENT_LENGTH), locale: localeOf(language) };
}

// Walks commas from the right, so a header of any length costs no more than the hops (compare koa CVE-2025-25200).
function forwardedAddress(header: string | string[] | undefined, hops: number): string | undefined {
  if (header === undefined) return undefined;
  const list = typeof header === "string" ? header : header.join(",");
  let end = list.length;
  for (let hop = 1; ; hop += 1) {
    const comma = end === 0 ? -1 : list.lastIndexOf(",", end - 1);
    if (hop === hops) return normalized(withoutPort(list.slice(comma + 1, end).trim()));
    if (comma === -1) return undefined;
    end = comma;
  }
}

/** Some proxies write `1.2.3.4:567` or `[2001:db8::1]:567`. */
function withoutPort(entry: string): string {
  if (entry.length > 64) return "";
  if (entry.startsWith("[")) return entry.slice(1, Math.max(1, entry.indexOf("]")));
  const colon = entry.indexOf(":");
  return colon !== -1 && colon === entry.lastIndexOf(":") ? entry.slice(0, colon) : entry;
}

/** The one spelling of an address: IPv4 as it is, IPv4-mapped as IPv4, IPv6 as `new URL` writes it (RFC 5952). */
function normalized(text: string): string | undefined {
  if (isIPv4(text)) return text;
  if (text.startsWith("::ffff:") && isIPv4(text.slice(7))) return text.slice(7);
  const plain = text.includes("%") ? text.slice(0, text.indexOf("%")) : text;
  if (isIP(plain) !== 6) return undefined;
  const short = new URL(`http://[${plain}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(short);
  if (mapped === null) return short;
  const [high, low] = [Number.parseInt(mapped[1] ?? "0", 16), Number.parseInt(mapped[2] ?? "0", 16)];
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}
