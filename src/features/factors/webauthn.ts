/** WebAuthn (Level 3): what an authenticator is asked, and whether its answer is right. Knows nothing of accounts and of the database. */

import type { RegistrationResponseJSON, AuthenticationResponseJSON } from "@simplewebauthn/server";
import { z } from "zod";
import type { Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { assertUsableKey } from "./cose-key.ts";
import { passkeyInvalid } from "./factors.errors.ts";
import type { AuthenticationResponse, CreationOptions, RegistrationResponse, RequestOptions } from "./passkeys.schemas.ts";
import type { NewPasskey, Passkey, PasskeyKey, PasskeyUse } from "./passkeys.sql.ts";

/** Which site passkeys are of, and a log that says why an answer was refused. */
export interface Site {
  readonly config: {
    readonly webauthn: {
      readonly rpId: string;
      /** Exact ones, or `localhost-any-port`. */
      readonly origins: readonly string[];
    };
  };
  readonly log: Log;
}

/** EdDSA, ES256, RS256 (COSE): every authenticator has one of them. */
const ALGORITHMS = [-8, -7, -257];
const TIMEOUT_MS = 5 * 60_000;
const NO_AAGUID = "00000000-0000-0000-0000-000000000000";
const TRANSPORTS = new Set(["usb", "nfc", "ble", "smart-card", "hybrid", "internal"]);
const ANY_LOCALHOST = "localhost-any-port";
const LOCALHOST = /^http:\/\/localhost(?::\d{1,5})?$/;

/** What an account is called by authenticators: its id, in which nothing is told of it. */
export function userHandle(userId: string): string {
  return Buffer.from(userId.replaceAll("-", ""), "hex").toString("base64url");
}

/** What makes a passkey. @param challenge base64url */
export function creationOptions(
  { config }: Pick<Site, "config">,
  account: { readonly id: string; readonly username: string; readonly displayName: string; readonly passkeys: readonly Passkey[] },
  challenge: string,
): CreationOptions {
  const { rpId } = config.webauthn;
  return {
    rp: { id: rpId, name: rpId },
    user: { id: userHandle(account.id), name: account.username, displayName: account.displayName },
    challenge,
    pubKeyCredParams: ALGORITHMS.map((alg) => ({ type: "public-key", alg })),
    timeout: TIMEOUT_MS,
    excludeCredentials: account.passkeys.map(descriptorOf),
    authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
    attestation: "none",
  };
}

/** What a passkey is asked. @param passkeys that may answer; none for any of this site, which then must have verified its user */
export function requestOptions({ config }: Pick<Site, "config">, challenge: string, passkeys: readonly Passkey[] = []): RequestOptions {
  return {
    rpId: config.webauthn.rpId,
    challenge,
    timeout: TIMEOUT_MS,
    allowCredentials: passkeys.map(descriptorOf),
    userVerification: passkeys.length === 0 ? "required" : "preferred",
  };
}

const clientData = z.object({ challenge: z.string(), origin: z.string(), crossOrigin: z.boolean().optional() });

/** The challenge that an answer says it is to. Nothing of the answer is checked yet. @throws Problem `passkey.invalid` */
export function challengeOf(answer: { readonly response: { readonly clientDataJSON: string } }): string {
  return readClientData(answer).challenge;
}

/** Checks the answer to `creationOptions`. @throws Problem `passkey.invalid` */
export async function checkRegistration(
  site: Site,
  { response, challenge }: { readonly response: RegistrationResponse; readonly challenge: string },
): Promise<Omit<NewPasskey, "userId" | "name">> {
  return await orInvalid(site, async () => {
    const { verifyRegistrationResponse } = await import("@simplewebauthn/server");
    const { registrationInfo } = await verifyRegistrationResponse({
      response: await withoutAttestation(response),
      expectedChallenge: challenge,
      expectedOrigin: expectedOrigin(site, response),
      expectedRPID: site.config.webauthn.rpId,
      requireUserVerification: true,
      supportedAlgorithmIDs: ALGORITHMS,
    });
    if (registrationInfo === undefined) throw new Error("not verified");
    const { aaguid, credential, credentialBackedUp: backedUp } = registrationInfo;
    if (credential.id !== response.id || credential.id === "") throw new Error("the credential is of another id than it says");
    await assertUsable(credential.publicKey);
    const transports = (response.response.transports ?? []).filter((one) => TRANSPORTS.has(one));
    return {
      id: credential.id,
      publicKey: Buffer.from(credential.publicKey),
      counter: credential.counter,
      transports,
      aaguid: aaguid === NO_AAGUID ? null : aaguid,
      backedUp,
    };
  });
}

/**
 * Checks the answer to `requestOptions`. Whether its counter goes on is seen later, under the row's lock.
 * @throws Problem `passkey.invalid`
 */
export async function checkAnswer(
  site: Site,
  input: {
    readonly response: AuthenticationResponse;
    readonly challenge: string;
    readonly key: PasskeyKey;
    /** Whether the authenticator must have seen its user's finger, face or PIN. */
    readonly verifiedUser: boolean;
  },
): Promise<PasskeyUse> {
  const { response, challenge, key, verifiedUser } = input;
  return await orInvalid(site, async () => {
    const { verifyAuthenticationResponse } = await import("@simplewebauthn/server");
    const { verified, authenticationInfo } = await verifyAuthenticationResponse({
      response: answerJson(response),
      expectedChallenge: challenge,
      expectedOrigin: expectedOrigin(site, response),
      expectedRPID: site.config.webauthn.rpId,
      // With its own counter the library would judge before it has looked at the signature.
      credential: { id: key.id, publicKey: new Uint8Array(key.publicKey), counter: 0 },
      requireUserVerification: verifiedUser,
    });
    if (!verified) throw new Error("the signature is not right");
    return { id: key.id, userId: key.userId, counter: authenticationInfo.newCounter, backedUp: authenticationInfo.credentialBackedUp };
  });
}

const descriptorOf = ({ id, transports }: Passkey): RequestOptions["allowCredentials"][number] => ({
  id,
  type: "public-key",
  transports: [...transports],
});

/** The library refuses by errors, some of them of its parsers: what reaches it was sent by anybody. */
async function orInvalid<Result>({ log }: Site, check: () => Promise<Result>): Promise<Result> {
  try {
    return await check();
  } catch (error) {
    log.debug({ reason: error instanceof Error ? error.message : String(error) }, "a passkey's answer was refused");
    throw new Problem(passkeyInvalid);
  }
}

function readClientData(answer: { readonly response: { readonly clientDataJSON: string } }): z.infer<typeof clientData> {
  try {
    return clientData.parse(JSON.parse(Buffer.from(answer.response.clientDataJSON, "base64url").toString("utf8")));
  } catch {
    throw new Problem(passkeyInvalid);
  }
}

/** The page's own origin where it is one of ours; one that cannot be else. A page in a frame of another site is none of ours. */
function expectedOrigin({ config }: Site, answer: { readonly response: { readonly clientDataJSON: string } }): string {
  const { origin, crossOrigin } = readClientData(answer);
  const { origins } = config.webauthn;
  const isOurs = origins.includes(origin) || (origins.includes(ANY_LOCALHOST) && LOCALHOST.test(origin));
  if (!isOurs || origin === ANY_LOCALHOST || crossOrigin === true) throw new Error(`the page is ${origin}`);
  return origin;
}

async function assertUsable(coseKey: Uint8Array): Promise<void> {
  const { isoCBOR } = await import("@simplewebauthn/server/helpers");
  assertUsableKey(isoCBOR.decodeFirst<Map<number, unknown>>(new Uint8Array(coseKey)));
}

/**
 * The same without the statement of its maker, which was not asked for: to check one, the library would fetch revocation lists from
 * addresses that stand in it.
 */
async function withoutAttestation({ id, rawId, type, response }: RegistrationResponse): Promise<RegistrationResponseJSON> {
  const { decodeAttestationObject, isoCBOR } = await import("@simplewebauthn/server/helpers");
  const authData = decodeAttestationObject(new Uint8Array(Buffer.from(response.attestationObject, "base64url"))).get("authData");
  const bare = isoCBOR.encode(
    new Map<string, string | Uint8Array | Map<string, string>>([
      ["fmt", "none"],
      ["attStmt", new Map<string, string>()],
      ["authData", authData],
    ]),
  );
  const { clientDataJSON } = response;
  return {
    id,
    rawId,
    type,
    response: { clientDataJSON, attestationObject: Buffer.from(bare).toString("base64url") },
    clientExtensionResults: {},
  };
}

function answerJson({ id, rawId, type, response }: AuthenticationResponse): AuthenticationResponseJSON {
  const { clientDataJSON, authenticatorData, signature } = response;
  return { id, rawId, type, response: { clientDataJSON, authenticatorData, signature }, clientExtensionResults: {} };
}
