import { createHmac, createPrivateKey, generateKeyPairSync, sign } from "node:crypto";
import { describe, expect, it } from "@jest/globals";
import { systemClock, type Clock } from "#src/kernel/clock";
import { Problem } from "#src/kernel/problem";
import { createAccessTokens, type AccessTokens } from "./access-token.ts";
import { generateKeyRing, parseKeyRing, readStoredKeyRing, type KeyRing, type StoredKeyRing } from "./key-ring.ts";
import { holdKeyRing } from "./key-ring-source.ts";
import { revokeKeys, rotateKeyRing } from "./key-rotation.ts";

const ring = parseKeyRing(generateKeyRing());
const { jwks } = holdKeyRing(ring, systemClock).current();
const issuer = "https://users.example.com";
const session = {
  userId: "01890000-0000-7000-8000-000000000001",
  sessionId: "01890000-0000-7000-8000-000000000002",
  roles: ["user"] as const,
};

function tokensAt(clock: { nowMs: number }, audiences: readonly string[] = ["user-service", "social"]): AccessTokens {
  const fixed: Clock = { now: () => new Date(clock.nowMs), monotonicMs: () => 0 };
  return createAccessTokens({ keyRing: holdKeyRing(ring, fixed), clock: fixed, issuer, audiences });
}

const nowMs = Date.parse("2026-11-24T12:00:00Z");

function codeOf(verify: () => unknown): string {
  try {
    verify();
    return "ok";
  } catch (error) {
    if (error instanceof Problem) return error.code;
    throw error;
  }
}

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token with whatever header and claims, really signed by our key unless told otherwise. */
function crafted(header: object, claims: object, key = ring.accessKeys[0].privateKey): string {
  const body = `${part(header)}.${part(claims)}`;
  return `${body}.${sign("sha256", Buffer.from(body), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
}

const header = { alg: "ES256", typ: "at+jwt", kid: ring.accessKeys[0].kid };
const claims = {
  iss: issuer,
  aud: ["user-service"],
  sub: session.userId,
  sid: session.sessionId,
  exp: nowMs / 1000 + 900,
  iat: nowMs / 1000,
};

describe("access tokens", () => {
  it("verifies what it issued until 15 minutes have passed, from memory too", () => {
    const clock = { nowMs };
    const tokens = tokensAt(clock);
    const token = tokens.issue(session);

    expect(tokens.verify(token)).toMatchObject({ sub: session.userId, sid: session.sessionId, exp: nowMs / 1000 + 900 });
    clock.nowMs += 899_000;
    expect(codeOf(() => tokens.verify(token))).toBe("ok");
    clock.nowMs += 1_000;
    expect(codeOf(() => tokens.verify(token))).toBe("token.expired");
  });

  it("refuses what a key signed that is gone or has ended, from memory too; what the others signed stays", () => {
    const clock = { nowMs };
    const fixed: Clock = { now: () => new Date(clock.nowMs), monotonicMs: () => 0 };
    const stored = readStoredKeyRing(generateKeyRing(new Date(nowMs)));
    const ofStored = (one: StoredKeyRing): KeyRing => parseKeyRing(JSON.stringify(one));
    const keyRing = holdKeyRing(ofStored(stored), fixed);
    const tokens = createAccessTokens({ keyRing, clock: fixed, issuer, audiences: ["user-service"] });
    const kidOf = (token: string): unknown =>
      (JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString()) as { kid: string }).kid;
    const published = (): unknown[] => keyRing.current().jwks.keys.map(({ kid }) => kid);
    const old = stored.accessKeys[0].kid;

    const next = rotateKeyRing(stored, { now: fixed.now(), refresh: false }).ring;
    const fresh = next.accessKeys[0].kid;
    keyRing.replace(ofStored(next));
    expect([kidOf(tokens.issue(session)), published()]).toEqual([old, [fresh, old]]);
    clock.nowMs += 599_000;
    const last = tokens.issue(session);
    expect([kidOf(last), codeOf(() => tokens.verify(last))]).toEqual([old, "ok"]);
    clock.nowMs += 1_000;
    const first = tokens.issue(session);
    expect([kidOf(first), published()]).toEqual([fresh, [fresh, old]]);
    clock.nowMs += 898_000;
    expect([last, first].map((token) => codeOf(() => tokens.verify(token)))).toEqual(["ok", "ok"]);

    // Its keys end before a token does that lives longer than any of ours.
    const long = crafted({ ...header, kid: old }, { ...claims, exp: nowMs / 1000 + 9_000 }, ofStored(stored).accessKeys[0].privateKey);
    expect(codeOf(() => tokens.verify(long))).toBe("ok");
    clock.nowMs = nowMs + (600 + 1_200) * 1000;
    expect([codeOf(() => tokens.verify(long)), published()]).toEqual(["token.invalid", [fresh]]);

    const token = tokens.issue(session);
    expect(codeOf(() => tokens.verify(token))).toBe("ok");
    keyRing.replace(ofStored(revokeKeys(next, { now: fixed.now(), refresh: false })));
    expect(codeOf(() => tokens.verify(token))).toBe("token.invalid");
    expect(codeOf(() => tokens.verify(tokens.issue(session)))).toBe("ok");
  });

  it("refuses what another key of the same kid signed", () => {
    const fixed: Clock = { now: () => new Date(nowMs), monotonicMs: () => 0 };
    const one = readStoredKeyRing(generateKeyRing());
    const other = readStoredKeyRing(generateKeyRing());
    const keyRing = holdKeyRing(parseKeyRing(JSON.stringify(one)), fixed);
    const tokens = createAccessTokens({ keyRing, clock: fixed, issuer, audiences: ["user-service"] });
    const token = tokens.issue(session);
    expect(codeOf(() => tokens.verify(token))).toBe("ok");
    const twin = { ...other.accessKeys[0], kid: one.accessKeys[0].kid };
    keyRing.replace(parseKeyRing(JSON.stringify({ ...one, accessKeys: [twin] })));
    expect(codeOf(() => tokens.verify(token))).toBe("token.invalid");
  });

  it("accepts what a crafted token must have, and each lack of it is the reason for a refusal", () => {
    const tokens = tokensAt({ nowMs });
    expect(codeOf(() => tokens.verify(crafted(header, claims)))).toBe("ok");

    const refused = {
      "another issuer": crafted(header, { ...claims, iss: "https://evil.example.com" }),
      "another audience": crafted(header, { ...claims, aud: "social" }),
      "no audience": crafted(header, { ...claims, aud: undefined }),
      "no exp (GHSA-wxg7-w2v3-w38g)": crafted(header, { ...claims, exp: undefined }),
      "exp as text": crafted(header, { ...claims, exp: String(claims.exp) }),
      "no sid": crafted(header, { ...claims, sid: undefined }),
      "sub that is no id": crafted(header, { ...claims, sub: "' or 1=1" }),
      "an ID token's typ": crafted({ ...header, typ: "JWT" }, claims),
      "no typ": crafted({ ...header, typ: undefined }, claims),
      "an unknown kid": crafted({ ...header, kid: "other" }, claims),
      "a kid that is a path": crafted({ ...header, kid: "../../etc/passwd" }, claims),
      "a kid of Object's": crafted({ ...header, kid: "__proto__" }, claims),
      "a key in the header": crafted({ ...header, jwk: jwks.keys[0] }, claims),
      "a key address in the header": crafted({ ...header, jku: "https://evil.example.com/jwks.json" }, claims),
      "a critical extension": crafted({ ...header, crit: ["b64"], b64: false }, claims),
      "another key": crafted(header, claims, generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey),
    };
    expect(Object.fromEntries(Object.entries(refused).map(([name, token]) => [name, codeOf(() => tokens.verify(token))]))).toEqual(
      Object.fromEntries(Object.keys(refused).map((name) => [name, "token.invalid"])),
    );
  });

  it("refuses alg none and our public key used as a shared secret (CVE-2022-23540)", () => {
    const tokens = tokensAt({ nowMs });
    const none = `${part({ ...header, alg: "none" })}.${part(claims)}.`;
    const pem = ring.accessKeys[0].publicKey.export({ type: "spki", format: "pem" });
    const der = ring.accessKeys[0].publicKey.export({ type: "spki", format: "der" });
    const shared = [pem, der].map((secret) => {
      const body = `${part({ ...header, alg: "HS256" })}.${part(claims)}`;
      return `${body}.${createHmac("sha256", secret).update(body).digest("base64url")}`;
    });

    expect([none, ...shared].map((token) => codeOf(() => tokens.verify(token)))).toEqual([
      "token.invalid",
      "token.invalid",
      "token.invalid",
    ]);
  });

  it("refuses what is no token: five parts (CVE-2024-28176), too long, damaged, empty", () => {
    const tokens = tokensAt({ nowMs });
    const good = tokens.issue(session);
    const junk = [
      "",
      ".",
      "..",
      "...",
      "a.b.c",
      `${good}.`,
      `${good}.x.y`,
      good.slice(0, -2),
      `${good.slice(0, 40)}!${good.slice(41)}`,
      "x".repeat(5_000),
      "\0.\0.\0",
      "null.null.null",
    ];

    expect(junk.map((token) => codeOf(() => tokens.verify(token)))).toEqual(junk.map(() => "token.invalid"));
  });

  it("publishes public halves only", () => {
    const [key] = jwks.keys;

    expect(Object.keys(key ?? {}).sort()).toEqual(["alg", "crv", "kid", "kty", "use", "x", "y"]);
  });

  it("takes no ring with a key of another curve or a short secret", () => {
    const stored = JSON.parse(generateKeyRing()) as {
      accessKeys: { kid: string; pkcs8: string }[];
      refreshKeys: { kid: string; secret: string }[];
    };
    const other = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey.export({ type: "pkcs8", format: "der" }).toString("base64");

    expect(() => parseKeyRing(JSON.stringify({ ...stored, accessKeys: [{ kid: "k", pkcs8: other }] }))).toThrow("not a P-256 key");
    expect(() => parseKeyRing(JSON.stringify({ ...stored, refreshKeys: [{ kid: "k", secret: "c2hvcnQ=" }] }))).toThrow(
      "shorter than 32 bytes",
    );
    expect(
      createPrivateKey({ key: Buffer.from(stored.accessKeys[0]?.pkcs8 ?? "", "base64"), format: "der", type: "pkcs8" }).asymmetricKeyType,
    ).toBe("ec");
  });
});
