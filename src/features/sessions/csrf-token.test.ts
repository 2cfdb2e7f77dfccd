import { describe, expect, it } from "@jest/globals";
import { systemClock } from "#src/kernel/clock";
import { createCsrfTokens } from "./csrf-token.ts";
import { generateKeyRing, parseKeyRing } from "./key-ring.ts";
import { holdKeyRing } from "./key-ring-source.ts";

interface Ring {
  readonly accessKeys: unknown[];
  readonly refreshKeys: unknown[];
}

const ring = (): Ring => JSON.parse(generateKeyRing()) as Ring;
const tokensOf = (of: Ring) => createCsrfTokens(holdKeyRing(parseKeyRing(JSON.stringify(of)), systemClock));
const SESSION = "0190c7a0-0000-7000-8000-000000000002";
const OTHER = "0190c7a0-0000-7000-8000-000000000003";

describe("the token that goes with the cookie", () => {
  const own = ring();
  const tokens = tokensOf(own);

  it("fits its session and no other", () => {
    expect(tokens.of(SESSION)).toMatch(/^[\w-]{43}$/);
    expect(tokens.fits(SESSION, tokens.of(SESSION))).toBe(true);
    expect(tokens.fits(OTHER, tokens.of(SESSION))).toBe(false);
  });

  it.each([
    ["nothing", () => ""],
    ["another spelling of the same bytes", () => `${tokens.of(SESSION)}=`],
    ["a cut one", () => tokens.of(SESSION).slice(0, -1)],
    ["one twice", () => `${tokens.of(SESSION)}, ${tokens.of(SESSION)}`],
    ["the session's id", () => SESSION],
    ["zeros", () => "A".repeat(43)],
    ["that of other keys", () => tokensOf(ring()).of(SESSION)],
  ])("is not %s", (_, text) => {
    expect(tokens.fits(SESSION, text())).toBe(false);
  });

  it("outlives the key it was made with for as long as that key's tokens do", () => {
    const fresh = ring();
    const rotated = tokensOf({ accessKeys: own.accessKeys, refreshKeys: [...fresh.refreshKeys, ...own.refreshKeys] });
    expect(rotated.fits(SESSION, tokens.of(SESSION))).toBe(true);
    expect(rotated.of(SESSION)).not.toBe(tokens.of(SESSION));
    expect(tokensOf(fresh).fits(SESSION, tokens.of(SESSION))).toBe(false);
  });
});
