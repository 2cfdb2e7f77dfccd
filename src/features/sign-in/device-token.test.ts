import { describe, expect, it } from "@jest/globals";
import { generateKeyRing, parseKeyRing } from "#src/features/sessions/key-ring";
import { holdKeyRing } from "#src/features/sessions/key-ring-source";
import { createRefreshTokens } from "#src/features/sessions/refresh-token";
import { systemClock } from "#src/kernel/clock";
import { createDeviceTokens } from "./device-token.ts";

const ann = "019abc00-0000-7000-8000-000000000001";

describe("a device token", () => {
  const keyRing = holdKeyRing(parseKeyRing(generateKeyRing()), systemClock);
  const tokens = createDeviceTokens(keyRing);

  it("names its account and one device", () => {
    const [one, other] = [tokens.make(ann), tokens.make(ann)];
    expect(tokens.read(one)).toEqual({ userId: ann, deviceId: expect.stringMatching(/^[\w-]{22}$/) });
    expect(tokens.read(one)?.deviceId).not.toBe(tokens.read(other)?.deviceId);
  });

  it("is ours or nothing", () => {
    const text = tokens.make(ann);
    const refresh = createRefreshTokens(keyRing).make(ann, 0).text;
    const others = createDeviceTokens(holdKeyRing(parseKeyRing(generateKeyRing()), systemClock)).make(ann);
    for (const forged of ["", "...", "a.b.c", `${text}.x`, text.slice(0, -2), `x${text}`, refresh, others, "é".repeat(100)]) {
      expect(tokens.read(forged)).toBeUndefined();
    }
    for (let index = text.indexOf("."); index < text.length; index += 1) {
      const changed = `${text.slice(0, index)}${text[index] === "A" ? "B" : "A"}${text.slice(index + 1)}`;
      const read = tokens.read(changed);
      // The last characters of base64url may hold bits that count for nothing.
      if (read !== undefined) expect(read).toEqual(tokens.read(text));
    }
  });
});
