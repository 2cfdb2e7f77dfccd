import { describe, expect, it } from "@jest/globals";
import { systemClock, type Clock } from "./clock.ts";
import { isUuid, newUuid, uuidFloor } from "./ids.ts";

const at = (moment: Date): Clock => ({ ...systemClock, now: () => moment });

describe("newUuid", () => {
  it("gives ids of one ms in the order in which they were made", () => {
    const still = at(new Date("2026-03-01T00:00:00.000Z"));
    for (let round = 0; round < 20; round += 1) {
      const before = newUuid(at(new Date("2026-02-28T23:59:59.999Z")));
      const made = [before, ...Array.from({ length: 2_000 }, () => newUuid(still))];
      expect(made.toSorted()).toEqual(made);
      expect(new Set(made).size).toBe(made.length);
    }
  });

  it("has the form of version 7, and its time", () => {
    const moment = new Date("2026-03-01T00:00:00.123Z");
    const made = newUuid(at(moment));
    expect(made).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(isUuid(made)).toBe(true);
    expect(uuidFloor(moment) <= made && made < uuidFloor(new Date(moment.getTime() + 1))).toBe(true);
  });

  it("says nothing of how many were made before in another ms", () => {
    const counts = Array.from({ length: 200 }, (_, ms) => newUuid(at(new Date(ms))).slice(15, 18));
    expect(new Set(counts).size).toBeGreaterThan(100);
  });
});
