/** A certificate that signs itself, made on the spot: none in the repository, none that expires. X.509 v3 (RFC 5280) in DER, just what TLS wants. */

import { generateKeyPairSync, sign } from "node:crypto";

/** Both as PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

const ECDSA_WITH_SHA256 = "06082a8648ce3d040302";
const COMMON_NAME = "0603550403";
const SUBJECT_ALT_NAME = "0603551d11";
const BASIC_CONSTRAINTS = "0603551d13";
const DAY_MS = 86_400_000;

/** For a host name, from yesterday to tomorrow. */
export function selfSigned(hostName: string): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const algorithm = der(0x30, hex(ECDSA_WITH_SHA256));
  const name = der(0x30, der(0x31, der(0x30, hex(COMMON_NAME), der(0x0c, Buffer.from("test mail server")))));
  const signed = der(
    0x30,
    der(0xa0, der(0x02, hex("02"))),
    der(0x02, hex("01")),
    algorithm,
    name,
    der(0x30, moment(Date.now() - DAY_MS), moment(Date.now() + DAY_MS)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, der(0x30, extension(BASIC_CONSTRAINTS, der(0x01, hex("ff"))), extension(SUBJECT_ALT_NAME, der(0x82, Buffer.from(hostName))))),
  );
  const signature = der(0x03, hex("00"), sign("sha256", signed, privateKey));
  return { cert: pem(der(0x30, signed, algorithm, signature)), key: privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
}

function extension(id: string, ...parts: readonly Buffer[]): Buffer {
  return der(0x30, hex(id), der(0x04, der(0x30, ...parts)));
}

function moment(atMs: number): Buffer {
  const text = new Date(atMs).toISOString().replaceAll(/[-:T]|\.\d+/g, "");
  return der(0x17, Buffer.from(text.slice(2)));
}

/** Tag, length, content. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const length = content.length < 0x80 ? [content.length] : [0x82, content.length >> 8, content.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

function hex(text: string): Buffer {
  return Buffer.from(text, "hex");
}

function pem(bytes: Buffer): string {
  const lines = bytes.toString("base64").match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}
