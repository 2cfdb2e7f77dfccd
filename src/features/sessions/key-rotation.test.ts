import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { generateKeyRing, KeyRingRefused, parseKeyRing, readStoredKeyRing, timesOf, type StoredKeyRing } from "./key-ring.ts";
import { listKeys, revokeKeys, rotateKeyRing } from "./key-rotation.ts";
import { JWKS_CACHE_SECONDS, KEEP_SECONDS, keysAt, LEAD_SECONDS } from "./key-states.ts";
import { ACCESS_TOKEN_SECONDS, SESSION_SECONDS } from "./lifetimes.ts";

const start = Date.parse("2026-11-27T12:00:00Z");
const at = (seconds: number): Date => new Date(start + seconds * 1000);
const ringAt = (seconds: number): StoredKeyRing => readStoredKeyRing(generateKeyRing(at(seconds)));
const rotated = (ring: StoredKeyRing, seconds: number, refresh = false): StoredKeyRing =>
  rotateKeyRing(ring, { now: at(seconds), refresh }).ring;
const states = (ring: StoredKeyRing, seconds: number, kind = "access"): string[] =>
  listKeys(ring, at(seconds)).flatMap((key) => (key.kind === kind ? [key.state] : []));

function access(ring: StoredKeyRing, seconds: number): { readonly signer: string; readonly accepted: readonly string[] } {
  const [first, ...rest] = ring.accessKeys;
  const { signer, accepted } = keysAt([timesOf(first), ...rest.map(timesOf)], at(seconds).getTime(), KEEP_SECONDS.access);
  return { signer: signer.kid, accepted: accepted.map(({ kid }) => kid) };
}

describe("a rotation", () => {
  const before = ringAt(0);
  const [old] = before.accessKeys;
  const after = rotated(before, 1_000);
  const [fresh] = after.accessKeys;

  it("publishes a key, lets it sign, keeps the one before while its tokens live, and drops it", () => {
    expect(access(after, 1_000)).toEqual({ signer: old.kid, accepted: [fresh.kid, old.kid] });
    expect(access(after, 1_599)).toEqual({ signer: old.kid, accepted: [fresh.kid, old.kid] });
    expect(access(after, 1_600)).toEqual({ signer: fresh.kid, accepted: [fresh.kid, old.kid] });
    expect(access(after, 1_600 + KEEP_SECONDS.access - 1)).toEqual({ signer: fresh.kid, accepted: [fresh.kid, old.kid] });
    expect(access(after, 1_600 + KEEP_SECONDS.access)).toEqual({ signer: fresh.kid, accepted: [fresh.kid] });
    expect([1_000, 1_600, 4_000].map((seconds) => states(after, seconds))).toEqual([
      ["published", "signing"],
      ["signing", "retired"],
      ["signing", "ended"],
    ]);
  });

  it("takes out what has ended, and nothing else", () => {
    const next = rotated(after, 5_000);
    expect(next.accessKeys.map(({ kid }) => kid)).toEqual([expect.any(String), fresh.kid]);
    expect(next.refreshKeys).toEqual(before.refreshKeys);
  });

  it("adds none while one is waiting", () => {
    expect(rotateKeyRing(after, { now: at(1_599), refresh: false })).toEqual({
      ring: after,
      access: "one is waiting already",
      refresh: "not asked for",
    });
    expect(rotateKeyRing(after, { now: at(1_600), refresh: false }).access).toBe("added");
  });

  it("of refresh keys keeps the one before as long as a session may last", () => {
    const both = rotated(before, 1_000, true);
    expect(states(both, 1_000, "refresh")).toEqual(["published", "signing"]);
    expect(states(both, 1_600 + SESSION_SECONDS, "refresh")).toEqual(["signing", "retired"]);
    expect(states(both, 1_600 + KEEP_SECONDS.refresh, "refresh")).toEqual(["signing", "ended"]);
    expect(rotated(both, 1_600 + KEEP_SECONDS.refresh).refreshKeys).toHaveLength(1);
  });

  it("of a ring without times goes on from its first key, and retires the others", () => {
    const [one, other] = [ringAt(0), ringAt(0)];
    const bare = ({ kid, pkcs8 }: StoredKeyRing["accessKeys"][0]): StoredKeyRing["accessKeys"][0] => ({ kid, pkcs8 });
    const legacy = readStoredKeyRing(
      JSON.stringify({ accessKeys: [bare(one.accessKeys[0]), bare(other.accessKeys[0])], refreshKeys: one.refreshKeys }),
    );
    const [first, second] = legacy.accessKeys;
    expect(access(legacy, 10 ** 9)).toEqual({ signer: first.kid, accepted: [first.kid, second?.kid] });
    const next = rotated(legacy, 1_000);
    expect(states(next, 1_000)).toEqual(["published", "signing", "retired"]);
    expect(access(next, 1_000).signer).toBe(first.kid);
    expect(states(next, 1_600)).toEqual(["signing", "retired", "retired"]);
    expect(states(next, 1_000 + KEEP_SECONDS.access)).toEqual(["signing", "retired", "ended"]);
    expect(states(next, 1_600 + KEEP_SECONDS.access)).toEqual(["signing", "ended", "ended"]);
  });

  it("gives a form that a version without times can read: newest first, the same members", () => {
    for (const { kid, pkcs8 } of after.accessKeys) expect([typeof kid, typeof pkcs8]).toEqual(["string", "string"]);
    expect(after.accessKeys.map(({ kid }) => kid)).toEqual([fresh.kid, old.kid]);
    expect(parseKeyRing(JSON.stringify(after)).accessKeys).toHaveLength(2);
  });

  it("always has a key that signs, also by a clock that is far behind or ahead", () => {
    expect(access(after, -(10 ** 7)).signer).toBe(old.kid);
    expect(access(after, 10 ** 8).signer).toBe(fresh.kid);
    expect(access(revokeKeys(after, { now: at(2_000), refresh: false }), -(10 ** 7)).signer).toEqual(expect.any(String));
  });

  it("refuses a ring of retired keys, or with a kid twice", () => {
    const [first] = before.accessKeys;
    const withAccess = (...accessKeys: object[]): string => JSON.stringify({ ...before, accessKeys });
    expect(() => parseKeyRing(withAccess({ ...first, retiredAt: at(0).toISOString() }))).toThrow("accessKeys: all are retired");
    expect(() => parseKeyRing(withAccess(first, first))).toThrow("accessKeys: two have the same kid");
  });

  it("says what is wrong with a ring and where, without quoting it", () => {
    const messageOf = (text: string): string => {
      try {
        parseKeyRing(text);
        return "ok";
      } catch (error) {
        if (error instanceof KeyRingRefused) return error.message;
        throw error;
      }
    };
    const [key] = before.accessKeys;
    expect(messageOf("")).toBe("it is empty");
    expect(messageOf(`hidden-${key.pkcs8}`)).toBe("it is not JSON");
    expect(messageOf(`{"accessKeys": [],}`)).toMatch(/^it is not JSON \(line 1 column \d+\)$/);
    expect(messageOf("[]")).toBe("the ring: expected object, received array");
    expect(messageOf(`{"refreshKeys":[]}`)).toBe("accessKeys: expected a list, received undefined");
    const damaged = JSON.stringify({ ...before, accessKeys: [key, { ...key, kid: "x", pkcs8: `${key.pkcs8.slice(0, 40)}` }] });
    expect(messageOf(damaged)).toBe("accessKeys[1].pkcs8: not a private key in PKCS #8, base64");
  });
});

describe("revoking", () => {
  it("leaves a new access key that signs at once; refresh keys stay unless they are to go too", () => {
    const before = ringAt(0);
    const kept = revokeKeys(before, { now: at(1_000), refresh: false });
    expect([states(kept, 1_000), kept.accessKeys[0].kid === before.accessKeys[0].kid]).toEqual([["signing"], false]);
    expect(kept.refreshKeys).toEqual(before.refreshKeys);
    const none = revokeKeys(before, { now: at(1_000), refresh: true });
    expect([states(none, 1_000, "refresh"), none.refreshKeys[0].kid === before.refreshKeys[0].kid]).toEqual([["signing"], false]);
  });
});

describe("rotations at any time", () => {
  /** Of a clock, in s. */
  const skew = fc.integer({ min: -60, max: 60 });
  /** Since a process read the ring: the most that KEYS_REREAD_SECONDS may say. */
  const staleness = fc.integer({ min: 0, max: 120 });
  const someone = fc.record({ skew, staleness });

  it("have every token accepted everywhere for as long as it lives, and its key published where it was kept the longest", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 4_000 }), { minLength: 1, maxLength: 6 }),
        fc.record({ operator: skew, issuer: someone, verifier: someone, publisher: someone }),
        fc.record({ issuedAfter: fc.integer({ min: 500, max: 20_000 }), age: fc.integer({ min: 0, max: ACCESS_TOKEN_SECONDS }) }),
        fc.integer({ min: 0, max: JWKS_CACHE_SECONDS.fresh + JWKS_CACHE_SECONDS.stale }),
        (gaps, { operator, issuer, verifier, publisher }, { issuedAfter, age }, cachedFor) => {
          const written = [{ seconds: 0, ring: ringAt(0) }];
          for (const gap of gaps) {
            const { seconds, ring } = written.at(-1) ?? { seconds: 0, ring: ringAt(0) };
            written.push({ seconds: seconds + gap, ring: rotated(ring, seconds + gap + operator) });
          }
          const seenBy = (who: typeof issuer, seconds: number): ReturnType<typeof access> => {
            const { ring } = written.findLast((one) => one.seconds <= Math.max(0, seconds - who.staleness)) ?? { ring: ringAt(0) };
            return access(ring, seconds + who.skew);
          };
          const { signer } = seenBy(issuer, issuedAfter);
          expect(seenBy(verifier, issuedAfter).accepted).toContain(signer);
          expect(seenBy(verifier, issuedAfter + age).accepted).toContain(signer);
          expect(seenBy(publisher, issuedAfter - cachedFor).accepted).toContain(signer);
        },
      ),
      { numRuns: 150 },
    );
  });

  it("leave the lead above what processes and caches may be behind", () => {
    expect(LEAD_SECONDS).toBeGreaterThan(120 + JWKS_CACHE_SECONDS.fresh + JWKS_CACHE_SECONDS.stale);
  });
});
