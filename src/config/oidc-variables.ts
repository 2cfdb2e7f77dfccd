/** OIDC_PROVIDERS: one JSON list, checked whole, so that what is wrong is told in one line. */

import { z } from "zod";

const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

const issuer = z
  .string()
  .max(300)
  .refine((text) => isPlainUrl(text) && isProtected(text), "an https URL without ? and # (http on loopback only)");

// Compared letter by letter with what the provider was told, so only as a URL is written out in full.
const redirectUri = z
  .string()
  .max(300)
  .refine(
    (text) => isPlainUrl(text) && new URL(text).href === text && (isProtected(text) || isOfAnApp(text)),
    "a full URL without ? and #: https, http on loopback, or an app's own scheme with a dot in it",
  );

const provider = z.strictObject({
  id: z
    .string()
    .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, "lowercase words with hyphens")
    .max(32),
  issuer,
  clientId: z.string().min(1).max(300),
  displayName: z.string().min(1).max(50),
  redirectUris: z.array(redirectUri).min(1).max(10),
  scopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, "a scope"))
    .default(["openid", "email", "profile"])
    .refine((scopes) => scopes.includes("openid"), "openid among them"),
  newAccounts: z.boolean().default(false),
  clientAuth: z.enum(["basic", "post", "none"]).default("basic"),
});

/** One of OIDC_PROVIDERS. */
export type OidcProviderConfig = z.infer<typeof provider>;

/** The variable: JSON text → providers. */
export const oidcProviders = z
  .string()
  .transform((text, context): readonly OidcProviderConfig[] => {
    const parsed = z.array(provider).max(20).safeParse(jsonOf(text));
    if (!parsed.success) {
      const [first] = parsed.error.issues;
      context.addIssue(`a JSON list of providers; ${first?.path.join(".") ?? ""}: ${first?.message ?? ""}`);
      return z.NEVER;
    }
    const wrong = wrongTogether(parsed.data);
    if (wrong !== undefined) context.addIssue(wrong);
    return parsed.data;
  })
  .default([]);

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Two providers behind one page could be mistaken for each other (RFC 9700, 4.4.2). */
function wrongTogether(providers: readonly OidcProviderConfig[]): string | undefined {
  const ids = providers.map(({ id }) => id);
  if (new Set(ids).size !== ids.length) return "a list in which each id stands once";
  const uris = providers.flatMap(({ redirectUris }) => [...new Set(redirectUris)]);
  return new Set(uris).size === uris.length ? undefined : "a list in which no two providers share a redirect URI";
}

function isPlainUrl(text: string): boolean {
  if (!URL.canParse(text) || /[?#\s]/.test(text)) return false;
  const { username, password } = new URL(text);
  return username === "" && password === "";
}

function isProtected(text: string): boolean {
  const { protocol, hostname } = new URL(text);
  return protocol === "https:" || (protocol === "http:" && LOOPBACK.includes(hostname));
}

/** A private-use scheme is a domain turned round (RFC 8252, 7.1), which tells it from `javascript:` and `data:`. */
function isOfAnApp(text: string): boolean {
  return new URL(text).protocol.includes(".");
}
