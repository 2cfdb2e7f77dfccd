import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { expect } from "@jest/globals";
import { tokenPart } from "../../kit/forged-tokens.ts";
import { ConnectRefused } from "../../kit/socket-client.ts";
import { almost, rowsOf, told, type Row } from "../row.ts";
import type { Target } from "../target.ts";

const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const strangersJwk = createPublicKey(stranger).export({ format: "jwk" });
const now = (): number => Math.floor(Date.now() / 1000);

/** What is tried, and what makes a token of it; `person` has a session. */
type Make = (target: Target, person: Awaited<ReturnType<Target["newcomer"]>>) => string | Promise<string>;

const changed =
  (changes: Parameters<Target["forge"]["token"]>[1]): Make =>
  ({ forge }, person) =>
    forge.token(person, changes);
const headed =
  (header: object): Make =>
  ({ forge }, { accessToken }) =>
    [tokenPart({ alg: "ES256", typ: "at+jwt", kid: forge.kid, ...header }), ...accessToken.split(".").slice(1)].join(".");
/** Signed with our public key, as if it were a shared secret. */
const shared =
  (secret: (publicKey: KeyObject) => string | Buffer): Make =>
  ({ forge }, { accessToken }) => {
    const signed = `${tokenPart({ alg: "HS256", typ: "at+jwt", kid: forge.kid })}.${accessToken.split(".")[1]}`;
    return `${signed}.${createHmac("sha256", secret(forge.publicKey)).update(signed).digest("base64url")}`;
  };

const FORGED: readonly (readonly [string, Make, code?: string, Row["advisory"]?])[] = [
  [
    "alg none, no signature",
    ({ forge }, { accessToken }) => `${tokenPart({ alg: "none", typ: "at+jwt", kid: forge.kid })}.${accessToken.split(".")[1]}.`,
    "token.invalid",
    "CVE-2022-23540",
  ],
  ["alg none, with a signature", headed({ alg: "none" })],
  ["alg nOnE", headed({ alg: "nOnE" })],
  ["HS256 with our public key as PEM", shared((key) => key.export({ type: "spki", format: "pem" }))],
  ["HS256 with our public key as DER", shared((key) => key.export({ type: "spki", format: "der" }))],
  ["HS256 with our public key as JWK", shared((key) => JSON.stringify(key.export({ format: "jwk" })))],
  ["kid is a path", changed({ header: { kid: "../../../../dev/null" } })],
  ["kid is SQL", changed({ header: { kid: "' or 1=1 --" } })],
  ["kid is of Object", changed({ header: { kid: "__proto__" } })],
  ["kid is an array", changed({ header: { kid: ["a"] } })],
  ["no kid", changed({ header: { kid: undefined } })],
  ["kid of nobody", changed({ header: { kid: "another" } })],
  ["jwk in the header", changed({ key: stranger, header: { jwk: strangersJwk } })],
  ["jku in the header", changed({ key: stranger, header: { jku: "https://evil.example/jwks.json" } })],
  ["x5u in the header", changed({ key: stranger, header: { x5u: "https://evil.example/cert.pem" } })],
  ["jku in the header, our signature", changed({ header: { jku: "https://evil.example/jwks.json" } })],
  ["critical extensions", changed({ header: { crit: ["exp"] } })],
  ["signed by a stranger", changed({ key: stranger })],
  ["larger than any of ours", ({ forge }, person) => forge.token(person, { claims: { fill: "x".repeat(2_000) } })],
  ["five parts", (_, { accessToken }) => `${accessToken}.a.b`, "token.invalid", "CVE-2024-28176"],
  [
    "another spelling of its signature",
    (_, { accessToken }) =>
      almost(accessToken).find((text) => text.slice(0, -1) === accessToken.slice(0, -1) && text.length === accessToken.length) ?? "",
  ],
  ["truncated", (_, { accessToken }) => accessToken.slice(0, -1)],
  ["extended", (_, { accessToken }) => `${accessToken}A`],
  ["no exp", changed({ claims: { exp: undefined } }), "token.invalid", "GHSA-wxg7-w2v3-w38g"],
  ["expired", changed({ claims: { exp: now() - 1 } }), "token.expired"],
  ["not valid yet", changed({ claims: { nbf: now() + 600 } })],
  [
    "exp far away under the signature of another",
    (_, { accessToken }) => {
      const [head, claims = "", signature] = accessToken.split(".");
      const longer = { ...(JSON.parse(Buffer.from(claims, "base64url").toString()) as object), exp: 9_999_999_999 };
      return [head, tokenPart(longer), signature].join(".");
    },
  ],
  ["no typ", changed({ header: { typ: undefined } })],
  ["typ of an ID token", changed({ header: { typ: "JWT" } })],
  ["another issuer", changed({ claims: { iss: "https://evil.example" } })],
  ["another audience", changed({ claims: { aud: "social-service" } })],
  ["no audience", changed({ claims: { aud: undefined } })],
  ["another account's session", ({ forge, bystander }, { sessionId }) => forge.token({ id: bystander.id, sessionId }), "session.revoked"],
  [
    "a session that never was",
    ({ forge }, { id }) => forge.token({ id, sessionId: "0190a000-0000-7000-8000-000000000000" }),
    "session.revoked",
  ],
  ["a session that is no id", changed({ claims: { sid: "' or 1=1 --" } })],
  ["an actor made up", changed({ claims: { act: { sub: "0190a000-0000-7000-8000-000000000000" } } }), "session.revoked"],
  ["a refresh token", (_, { refreshToken }) => refreshToken],
  [
    "the provider's ID token",
    async ({ api, provider }, { id }) => {
      const { body } = await api.http.post<{ authorizationUrl: string }>("/api/auth/oidc/a/begin", {});
      return provider.idToken(body.authorizationUrl, { sub: id });
    },
  ],
];

/** It is refused on every way in, and the right one is taken everywhere. */
async function everywhere(target: Target, token: string): Promise<string[]> {
  const { api, bystander } = target;
  const byRest = await api.http.get("/api/users/me", token);
  const byGraphql = await api.http.graphql("{ me { id } }", token);
  const bySocket = await api.socket(token).then(
    (socket) => {
      socket[Symbol.dispose]();
      return "let in";
    },
    (error: unknown) => (error instanceof ConnectRefused ? error.data?.code : String(error)),
  );
  using socket = await api.socket(bystander.accessToken);
  const refreshed = await socket.ask("token:refresh", { accessToken: token });
  return [told(byRest), told(byGraphql).replace(/^\d+ /, ""), String(bySocket), refreshed.ok ? "taken" : refreshed.error.code];
}

export const accessTokenRows = rowsOf("access token", [
  [
    "as ours in everything: taken, so that each lack below is the reason",
    async (target) => {
      const person = await target.newcomer();
      const answers = await everywhere(target, target.forge.token(person));
      expect(answers).toEqual(["200", "200", "let in", "token.of_another_session"]);
    },
  ],
  ...FORGED.map(
    ([name, make, code = "token.invalid", advisory]) =>
      [
        name,
        async (target: Target): Promise<void> => {
          const token = await make(target, await target.newcomer());
          expect(await everywhere(target, token)).toEqual([`401 ${code}`, code, code, code]);
        },
        advisory,
      ] as const,
  ),
]);
