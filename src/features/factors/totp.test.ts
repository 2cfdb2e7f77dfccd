import { describe, expect, it } from "@jest/globals";
import { generateSync } from "otplib";
import fc from "fast-check";
import { generateKeyRing, parseKeyRing, readStoredKeyRing } from "#src/features/sessions/key-ring";
import { revokeKeys, rotateKeyRing } from "#src/features/sessions/key-rotation";
import { systemClock } from "#src/kernel/clock";
import { holdKeyRing } from "#src/features/sessions/key-ring-source";
import { newRecoveryCodes, normalRecoveryCode } from "./recovery-code.ts";
import { createSeals, type Seals } from "./seals.ts";
import { newTotpSecret, totpStep, totpUri } from "./totp.ts";

const STEP_SECONDS = 30;
const at = (step: number, offset = 0): Date => new Date((step * STEP_SECONDS + offset) * 1000);
const codeAt = (secret: string, step: number): string => generateSync({ secret, epoch: step * STEP_SECONDS });

describe("a time-based code", () => {
  it("is as RFC 6238, appendix B, has it", () => {
    const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"; // 12345678901234567890
    expect(totpStep(secret, "287082", { now: new Date(59_000), lastStep: 0 })).toBe(1);
    expect(totpStep(secret, "081804", { now: new Date(1_111_111_109_000), lastStep: 0 })).toBe(37_037_036);
    expect(totpStep(secret, "353130", { now: new Date(20_000_000_000_000), lastStep: 0 })).toBe(666_666_666);
  });

  it("is taken one step early and late, no more, and never twice nor after a later one", () => {
    const secret = newTotpSecret();
    fc.assert(
      fc.property(
        fc.integer({ min: 4, max: 100_000_000 }), // no clock is before 1970
        fc.integer({ min: -3, max: 3 }),
        fc.integer({ min: 0, max: 29 }),
        (step, skew, offset) => {
          const code = codeAt(secret, step);
          const now = at(step + skew, offset);
          // Six digits may fit another step by chance; then they are that one's.
          const taken = totpStep(secret, code, { now, lastStep: 0 });
          if (Math.abs(skew) <= 1) expect(taken).toBeDefined();
          if (taken !== undefined) {
            expect(codeAt(secret, taken)).toBe(code);
            expect(Math.abs(taken - (step + skew))).toBeLessThanOrEqual(1);
            expect(totpStep(secret, code, { now, lastStep: taken })).not.toBe(taken);
          }
          expect(totpStep(secret, code, { now, lastStep: step + skew + 1 })).toBeUndefined();
        },
      ),
      { numRuns: 300 },
    );
  });

  it.each(["", "12345", "1234567", "12345a", " 123456", "１２３４５６", "-12345", "1e5000"])("is not %j", (code) => {
    expect(totpStep(newTotpSecret(), code, { now: new Date(), lastStep: 0 })).toBeUndefined();
  });

  it("tells an app whose it is", () => {
    const uri = totpUri("JBSWY3DPEHPK3PXP", { issuer: "id.example.com", label: "ann" });
    expect(uri).toMatch(/^otpauth:\/\/totp\/id\.example\.com:ann\?/);
    expect(new URL(uri).searchParams.get("secret")).toBe("JBSWY3DPEHPK3PXP");
    expect(new URL(uri).searchParams.get("issuer")).toBe("id.example.com");
  });
});

describe("recovery codes", () => {
  it("are ten different ones, read however they are typed", () => {
    const codes = newRecoveryCodes();
    expect(new Set(codes).size).toBe(10);
    for (const code of codes) {
      expect(code).toMatch(/^[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}$/);
      const plain = code.replace("-", "");
      for (const typed of [code, code.toLowerCase(), ` ${plain} `, plain.replaceAll("0", "o").replaceAll("1", "l")]) {
        expect(normalRecoveryCode(typed)).toBe(plain);
      }
    }
  });

  it.each(["", "ABCDE", "ABCDE-FGHJKX", "ABCDE-FGHJ!", "UUUUU-UUUUU"])("are not %j", (typed) => {
    expect(normalRecoveryCode(typed)).toBeUndefined();
  });
});

describe("a seal", () => {
  const held = (text = generateKeyRing()): Seals => createSeals(holdKeyRing(parseKeyRing(text), systemClock));
  const seals = held();

  it("opens for what it was made for only, unchanged", () => {
    const sealed = seals.seal(Buffer.from("secret"), "totp:ann");
    expect(seals.open(sealed, "totp:ann").toString()).toBe("secret");
    expect(() => seals.open(sealed, "totp:bob")).toThrow();
    for (let index = 0; index < sealed.sealed.length; index += 1) {
      const changed = Buffer.from(sealed.sealed);
      changed[index] = (changed[index] ?? 0) ^ 1;
      expect(() => seals.open({ ...sealed, sealed: changed }, "totp:ann")).toThrow();
    }
    expect(() => held().open(sealed, "totp:ann")).toThrow("is not in the ring");
    expect(sealed.sealed.includes("secret")).toBe(false);
  });

  it("opens after the ring was rotated, revoked, and rotated again, also one of before sealing keys", () => {
    for (const before of [generateKeyRing(), JSON.stringify({ ...JSON.parse(generateKeyRing()), sealingKeys: undefined })]) {
      const sealed = held(before).seal(Buffer.from("secret"), "x");
      const now = new Date();
      const inTenYears = new Date(now.getTime() + 10 * 366 * 86_400_000);
      const rotatedOnce = rotateKeyRing(readStoredKeyRing(before), { now, refresh: true }).ring;
      const revoked = revokeKeys(rotatedOnce, { now, refresh: true });
      const rotatedLate = rotateKeyRing(revoked, { now: inTenYears, refresh: true }).ring;
      expect(held(JSON.stringify(rotatedLate)).open(sealed, "x").toString()).toBe("secret");
    }
  });

  it("opens with a ring of before sealing keys, to which a newer key was added", () => {
    const stored = JSON.parse(generateKeyRing()) as { accessKeys: object[]; refreshKeys: object[]; sealingKeys?: object[] };
    delete stored.sealingKeys;
    const sealed = held(JSON.stringify(stored)).seal(Buffer.from("secret"), "x");
    const { refreshKeys } = JSON.parse(generateKeyRing()) as typeof stored;
    const grown = { ...stored, refreshKeys: [...refreshKeys, ...stored.refreshKeys] };
    expect(held(JSON.stringify(grown)).open(sealed, "x").toString()).toBe("secret");
  });
});
