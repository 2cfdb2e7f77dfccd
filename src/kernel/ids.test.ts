import { describe, expect, it } from "@jest/globals";
import { isUuid, newUuid, uuidFloor } from "./ids.ts";

const MOMENT = new Date("2026-11-26T12:00:00.123Z");
const at = (moment: Date): Parameters<typeof newUuid>[0] => ({ now: () => moment, monotonicMs: () => 0 });

describe("a new id", () => {
  it("sorts as it was made, within one millisecond too", () => {
    const made = Array.from({ length: 2_000 }, () => newUuid(at(MOMENT)));
    expect(made.toSorted()).toEqual(made);
    expect(new Set(made).size).toBe(made.length);
  });

  it("sorts by time, and says that it is of version 7", () => {
    const [first, second] = [newUuid(at(MOMENT)), newUuid(at(new Date(MOMENT.getTime() + 1)))];
    expect(first < second).toBe(true);
    expect(first).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(isUuid(first)).toBe(true);
    expect(uuidFloor(MOMENT) <= first).toBe(true);
    expect(first < uuidFloor(new Date(MOMENT.getTime() + 1))).toBe(true);
  });
});
