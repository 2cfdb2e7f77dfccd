/** One attack on the running service, and how what it was answered with reads. */

import type { Answer } from "../kit/http-client.ts";
import type { Target } from "./target.ts";

type Advisory = `CVE-${number}-${number}` | `GHSA-${string}`;

/** A line of the report. */
export interface Row {
  /** What is attacked. */
  readonly area: string;
  readonly name: string;
  /** Where the same was found in somebody else's work; docs/security.md lists them all. */
  readonly advisory?: Advisory;
  /** Throws when it has had an effect, or was not refused as it should be. */
  readonly attack: (target: Target) => Promise<void>;
}

/** Rows of one area. */
export function rowsOf(
  area: string,
  attacks: readonly (readonly [name: string, attack: Row["attack"], advisory?: Advisory | undefined])[],
): readonly Row[] {
  return attacks.map(([name, attack, advisory]) => ({ area, name, attack, ...(advisory === undefined ? {} : { advisory }) }));
}

/** Status, and the code of a refusal, over REST or GraphQL. */
export function told({ status, body }: Answer<unknown>): string {
  const { code, errors } = (body ?? {}) as {
    readonly code?: string;
    readonly errors?: readonly { readonly extensions?: { code: string } }[];
  };
  const refusal = status >= 400 || errors !== undefined ? (code ?? errors?.[0]?.extensions?.code) : undefined;
  return [status, ...(refusal === undefined ? [] : [refusal])].join(" ");
}

/** Texts that are almost this one. */
export function almost(text: string): readonly string[] {
  const last = text.at(-1) ?? "";
  // The last character of base64url has bits that say nothing: another spelling of the same bytes.
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const twin = alphabet[alphabet.indexOf(last) ^ 1] ?? "";
  return [
    text.slice(0, -1),
    text.slice(0, -2),
    text.slice(1),
    text.slice(0, text.length / 2),
    `${text}A`,
    `${text}=`,
    `${text}.`,
    `${text}\n`,
    ` ${text}`,
    `.${text}`,
    `${text.slice(0, -1)}${twin}`,
    text.replaceAll("-", "+").replaceAll("_", "/").concat("="),
    text.toUpperCase(),
    `${text}\u0000`,
  ].filter((one) => one !== text);
}
