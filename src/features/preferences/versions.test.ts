import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { DEFAULTS, preferencesSchema, STEPS, upgrade, VERSION, type Json, type Preferences } from "./versions.ts";

const json = fc.dictionary(fc.string(), fc.jsonValue()) as fc.Arbitrary<Json>;
const channels = fc.record({ app: fc.boolean(), push: fc.boolean() });
const current: fc.Arbitrary<Preferences> = fc.record({
  theme: fc.constantFrom("system", "light", "dark"),
  reducedMotion: fc.boolean(),
  notifications: fc.record({ follows: channels, followRequests: channels, followAccepted: channels }),
});

describe("stored preferences", () => {
  it("of every version, whole or in part or damaged, become valid ones of now", () => {
    const damaged = fc
      .tuple(current, json)
      .map(([whole, more]) => ({ ...whole, ...more, notifications: { ...whole.notifications, ...more } }));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: VERSION + 2 }), fc.oneof(json, current, damaged), (version, data) => {
        expect(preferencesSchema.safeParse(upgrade({ version, data })).success).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it("of the version of now stay as they are", () => {
    fc.assert(fc.property(current, (data) => expect(upgrade({ version: VERSION, data })).toEqual(data)));
  });

  it("of who set nothing are the defaults, which are valid", () => {
    expect(upgrade(undefined)).toEqual(DEFAULTS);
    expect(preferencesSchema.parse(DEFAULTS)).toEqual(DEFAULTS);
    expect(STEPS).toHaveLength(VERSION - 1);
  });

  it("go through the steps after their own version, each once and in order", () => {
    const steps = [
      (data: Json): Json => ({ look: data["dark"] === true ? "dark" : "light" }),
      (data: Json): Json => ({ theme: data["look"] }),
    ];
    expect(upgrade({ version: 1, data: { dark: true } }, steps).theme).toBe("dark");
    expect(upgrade({ version: 2, data: { look: "dark" } }, steps).theme).toBe("dark");
    expect(upgrade({ version: 3, data: { theme: "dark" } }, steps).theme).toBe("dark");
    expect(upgrade({ version: 4, data: { theme: "dark", more: 1, reducedMotion: "often" } }, steps)).toEqual({
      ...DEFAULTS,
      theme: "dark",
    });
  });
});
