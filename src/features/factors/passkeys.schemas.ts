/** What the doors of passkeys take and give: WebAuthn's JSON (Level 3, 5.1.8 to 5.1.10), as `PublicKeyCredential` reads and writes it. */

import { z } from "zod";
import { visibleName } from "#src/kernel/visible-name";
import { recoveryCodesSchema } from "./factors.schemas.ts";

const base64url = (most: number): z.ZodString =>
  z
    .string()
    .max(most)
    .regex(/^[A-Za-z0-9_-]+$/, "base64url");

/** 1023 bytes at most. */
const credentialId = base64url(1364);
const clientDataJSON = base64url(4096);

/** Browsers put more into their answers than is read here, and each year more. */
const answer = { id: credentialId, rawId: credentialId, type: z.literal("public-key") };

/** What `navigator.credentials.create` gives. */
export const registrationResponse = z.object({
  ...answer,
  response: z.object({
    clientDataJSON,
    attestationObject: base64url(16_384),
    transports: z.array(z.string().max(32)).max(16).optional(),
  }),
});

/** What `navigator.credentials.get` gives. */
export const authenticationResponse = z.object({
  ...answer,
  response: z.object({
    clientDataJSON,
    authenticatorData: base64url(4096),
    signature: base64url(2048),
    userHandle: z.string().max(128).nullish(),
  }),
});

export type RegistrationResponse = z.infer<typeof registrationResponse>;
export type AuthenticationResponse = z.infer<typeof authenticationResponse>;

const passkeyName = visibleName(50);

export const passkeyParams = z.strictObject({ id: credentialId.describe("The credential id, in base64url") });
export const newPasskeyBody = z.strictObject({ name: passkeyName, response: registrationResponse });
export const renamePasskeyBody = z.strictObject({ name: passkeyName });

export const passkeySchema = z
  .object({
    id: z.string().describe("The credential id, in base64url"),
    name: z.string(),
    transports: z.array(z.string()).describe("How the authenticator can be reached, as the browser said"),
    backedUp: z.boolean().describe("Whether it is kept elsewhere too, as the authenticator said last"),
    createdAt: z.iso.datetime(),
    lastUsedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: "Passkey" });

export const passkeysSchema = z.object({ data: z.array(passkeySchema) });

export const addedPasskeySchema = z.object({
  passkey: passkeySchema,
  recoveryCodes: recoveryCodesSchema.shape.recoveryCodes.optional().describe("When the account had none; told once"),
});

const descriptor = z.object({ id: z.string(), type: z.literal("public-key"), transports: z.array(z.string()).optional() });

export const creationOptionsSchema = z
  .object({
    rp: z.object({ id: z.string(), name: z.string() }),
    user: z.object({ id: z.string(), name: z.string(), displayName: z.string() }),
    challenge: z.string(),
    pubKeyCredParams: z.array(z.object({ type: z.literal("public-key"), alg: z.number().int() })),
    timeout: z.number().int().describe("ms"),
    excludeCredentials: z.array(descriptor),
    authenticatorSelection: z.object({
      residentKey: z.literal("required"),
      requireResidentKey: z.literal(true),
      userVerification: z.literal("required"),
    }),
    attestation: z.literal("none"),
  })
  .describe("For `PublicKeyCredential.parseCreationOptionsFromJSON`");

export const requestOptionsSchema = z
  .object({
    rpId: z.string(),
    challenge: z.string(),
    timeout: z.number().int().describe("ms"),
    allowCredentials: z.array(descriptor).describe("Empty: any passkey that the authenticator has for this site"),
    userVerification: z.enum(["required", "preferred"]),
  })
  .describe("For `PublicKeyCredential.parseRequestOptionsFromJSON`");

export type CreationOptions = z.infer<typeof creationOptionsSchema>;
export type RequestOptions = z.infer<typeof requestOptionsSchema>;
