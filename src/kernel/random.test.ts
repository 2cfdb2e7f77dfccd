import { describe, expect, it } from "@jest/globals";
import { randomBytes } from "./random.ts";

describe("random bytes", () => {
  it("are never given twice, over many refills of the pool, and belong to whom they were given", () => {
    const given = Array.from({ length: 2_000 }, () => randomBytes(16));

    expect(new Set(given.map((bytes) => bytes.toString("hex"))).size).toBe(2_000);
    expect(given.every((bytes) => bytes.some((byte) => byte !== 0))).toBe(true);
  });

  it("use the whole range evenly enough", () => {
    const counts = Array.from({ length: 256 }, () => 0);
    for (const byte of Array.from({ length: 64 }, () => [...randomBytes(4096)]).flat()) counts[byte] = (counts[byte] ?? 0) + 1;

    // 1,024 expected each; seven standard deviations.
    expect(Math.min(...counts)).toBeGreaterThan(800);
    expect(Math.max(...counts)).toBeLessThan(1_248);
  });
});
