/** What the doors of identities take and give. */

import { z } from "zod";

const providerId = z.string().min(1).max(32).describe("As `GET /api/auth/oidc` names it");

export const providerParams = z.strictObject({ provider: providerId });
export const identityParams = z.strictObject({ id: z.uuid() });

export const beginBody = z.strictObject({
  redirectUri: z.string().max(300).optional().describe("Page to come back to, one of those configured; the first of them"),
});

export const begunSchema = z.object({
  authorizationUrl: z.string().describe("Where to send the browser"),
  state: z.string().describe("Comes back in the response"),
  binding: z.string().describe("Keep it in this client and send it along to complete; never put it into an address"),
  expiresInSeconds: z.number().int(),
});

/** What completing wants, whatever it is for. */
export const returnedBody = z.strictObject({
  response: z.string().min(1).max(8192).describe("The query of the address that the provider sent the browser back to, without `?`"),
  binding: z.string().min(1).max(100).describe("Of the beginning"),
});

export const providersSchema = z.object({
  data: z.array(z.object({ id: z.string(), displayName: z.string(), newAccounts: z.boolean().describe("Whether it can make accounts") })),
});

export const identitySchema = z
  .object({
    id: z.uuid(),
    provider: z.string(),
    displayName: z.string().describe("Of the provider"),
    email: z.string().nullable().describe("What the provider said when it was linked"),
    linkedAt: z.iso.datetime(),
    lastUsedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: "Identity" });

export const identitiesSchema = z.object({ data: z.array(identitySchema) });
