/** Splits a request's target into path and query, strictly: what is badly encoded is refused, never guessed at. */

import { Problem, inputInvalid, type InputError } from "#src/kernel/problem";
import { pathMalformed } from "./http.errors.ts";
import { UNCLEAN, isCleanText } from "#src/kernel/unsafe-text";

/** How many parameters a query may have. */
const MAX_PARAMETERS = 64;

/** The path and the raw query of a request's target; an absolute one (RFC 9112, 3.2.2) gives its path. */
export function splitTarget(target: string): { readonly path: string; readonly query: string } {
  const local = target.startsWith("/") ? target : target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?]*/i, "");
  const mark = local.indexOf("?");
  const path = mark === -1 ? local : local.slice(0, mark);
  return { path: path === "" ? "/" : path, query: mark === -1 ? "" : local.slice(mark + 1) };
}

/** @throws Problem `path.malformed` when the path has a broken escape or one that hides a NUL */
export function checkPath(path: string): void {
  if (path.includes("%") && !isCleanText(percentDecoded(path))) throw new Problem(pathMalformed);
}

/**
 * The parameters of a query string.
 * @throws Problem `path.malformed` for a broken escape, `input.invalid` for a parameter given twice or with unsound text
 */
export function parseQuery(query: string): Readonly<Record<string, string>> {
  if (query === "") return {};
  const parameters = new Map<string, string>();
  const errors: InputError[] = [];
  const parts = query.split("&", MAX_PARAMETERS + 1);
  if (parts.length > MAX_PARAMETERS) throw new Problem(inputInvalid, { errors: [{ path: "query", message: "has too many parameters" }] });
  for (const part of parts) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const name = formDecoded(equals === -1 ? part : part.slice(0, equals));
    const value = equals === -1 ? "" : formDecoded(part.slice(equals + 1));
    if (!isCleanText(name) || !isCleanText(value)) errors.push({ path: "query", message: UNCLEAN });
    else if (parameters.has(name)) errors.push({ path: `query.${name}`, message: "is given more than once" });
    parameters.set(name, value);
  }
  if (errors.length > 0) throw new Problem(inputInvalid, { errors });
  return Object.fromEntries(parameters);
}

function formDecoded(text: string): string {
  return percentDecoded(text.replaceAll("+", " "));
}

function percentDecoded(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) throw new Problem(pathMalformed);
    throw error;
  }
}
