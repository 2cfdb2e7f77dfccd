/** What every adapter wants of an invocation before it leaves, so that one written against one works with the others. */

import type { InvocationAnswer } from "./port.ts";

const APP_ID = /^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?(\.[a-z0-9-]{1,63})?$/;
/** Characters of RFC 3986 for segments, without dots-only segments and without `;`, then perhaps a query. */
const TARGET = /^(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-Fa-f]{2})+(?:\/(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-Fa-f]{2})+)*(?:\?[^#\s]*)?$/;
/** What daprd decodes on the way and then takes for structure, and what our own listener refuses for that. */
const MEANS_STRUCTURE = /%(?:2[EeFf35]|3[Ff]|5[Cc]|[01][0-9A-Fa-f]|7[Ff])|(?:^|\/)\.{1,2}(?:\/|$)/;

/**
 * Holds every adapter to the same ids and paths. An escaped slash, dot, percent sign, `#`, `?` or control character does not
 * arrive as it was sent: daprd decodes the path, cleans it and encodes it anew.
 * @throws RangeError
 */
export function checkInvocation(appId: string, path: string): void {
  if (!APP_ID.test(appId)) throw new RangeError("an app id is lowercase letters, digits and hyphens, perhaps with a namespace");
  const [segments = ""] = path.split("?", 1);
  if (path.length > 4_096 || !TARGET.test(path) || MEANS_STRUCTURE.test(segments))
    throw new RangeError("a path has no slash in front, encoded segments, and no escape of what has a meaning in paths");
}

/** The answer of an app: JSON where it says so and is so, else nothing. */
export function invocationAnswer(status: number, contentType: unknown, text: string): InvocationAnswer {
  const isJson = typeof contentType === "string" && /^application\/(?:[a-z0-9.+-]+\+)?json\b/i.test(contentType);
  if (!isJson || text === "") return { status, body: undefined };
  try {
    return { status, body: JSON.parse(text) as unknown };
  } catch {
    return { status, body: undefined };
  }
}
