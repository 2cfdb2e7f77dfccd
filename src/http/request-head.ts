/** Headers and cookies for the routes that declare them. Nothing is looked at before a handler asks. */

import type { IncomingHttpHeaders } from "node:http";

/** What a route reads of a request's head, each with a description for the document. */
export interface HeadSpec {
  readonly headers: Readonly<Record<string, string>>;
  readonly cookies?: Readonly<Record<string, string>>;
}

/** The declared part of a request's head. */
export interface RequestHead {
  /** One of the declared headers, in any case; several of the name come joined by commas. @throws Error (a bug of ours) for any other */
  readonly header: (name: string) => string | undefined;
  /** Every value of a declared cookie, as it was sent. @throws Error (a bug of ours) for any other */
  readonly cookies: (name: string) => readonly string[];
}

/** The head of a request as far as `spec` declares it. */
export function requestHead(headers: IncomingHttpHeaders, spec: HeadSpec): RequestHead {
  return {
    header: (name) => {
      if (!Object.hasOwn(spec.headers, name)) throw new Error(`the route does not declare that it reads the header ${name}`);
      const value = headers[name.toLowerCase()];
      return typeof value === "object" ? value.join(", ") : value;
    },
    cookies: (name) => {
      if (spec.cookies === undefined || !Object.hasOwn(spec.cookies, name))
        throw new Error(`the route does not declare that it reads the cookie ${name}`);
      return cookiesOf(headers.cookie, name);
    },
  };
}

/**
 * The values of each cookie that has exactly this name (RFC 6265, section 5.4 is what was sent). Nothing is decoded, unquoted or
 * repaired: what is not as we set it is not ours. Libraries give the first of two, and so leave unseen that there were two.
 */
export function cookiesOf(header: string | undefined, name: string): readonly string[] {
  if (header === undefined) return [];
  return header.split(";").flatMap((pair) => {
    const at = pair.indexOf("=");
    return at !== -1 && trimmed(pair.slice(0, at)) === name ? [trimmed(pair.slice(at + 1))] : [];
  });
}

/** Without the blanks that HTTP knows: `trim` would take more, and an expression for the end takes quadratic time. */
function trimmed(text: string): string {
  let [from, to] = [0, text.length];
  while (from < to && isBlank(text, from)) from += 1;
  while (to > from && isBlank(text, to - 1)) to -= 1;
  return text.slice(from, to);
}

function isBlank(text: string, at: number): boolean {
  const character = text[at];
  return character === " " || character === "\t";
}
