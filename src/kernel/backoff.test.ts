import { describe, expect, it } from "@jest/globals";
import { backoffMs } from "./backoff.ts";

describe("backoffMs", () => {
  const bounds = { firstMs: 100, mostMs: 1_000 };

  it("doubles up to its bound", () => {
    expect([1, 2, 3, 4, 5, 60].map((attempt) => backoffMs(attempt, bounds, () => 1))).toEqual([100, 200, 400, 800, 1_000, 1_000]);
  });

  it("leaves half of it to chance, so that those that failed together come back apart", () => {
    expect(backoffMs(1, bounds, () => 0)).toBe(50);
    expect(backoffMs(1, bounds, () => 0.5)).toBe(75);
  });
});
