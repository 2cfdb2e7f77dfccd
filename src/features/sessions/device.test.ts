import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { deviceOf } from "./device.ts";

const WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64";
const IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)";
const BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)";

describe("the device of a user agent", () => {
  it.each([
    [`${WINDOWS}; rv:145.0) Gecko/20100101 Firefox/145.0`, "Firefox on Windows"],
    [`${WINDOWS}) ${BLINK} Chrome/142.0.0.0 Safari/537.36`, "Chrome on Windows"],
    [`${WINDOWS}) ${BLINK} Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0`, "Microsoft Edge on Windows"],
    [`${WINDOWS}) ${BLINK} Chrome/142.0.0.0 Safari/537.36 OPR/124.0.0.0`, "Opera on Windows"],
    [`${IPHONE} Version/18.6 Mobile/15E148 Safari/604.1`, "Safari on iPhone"],
    [`${IPHONE} CriOS/142.0.0.0 Mobile/15E148 Safari/604.1`, "Chrome on iPhone"],
    [`${IPHONE} FxiOS/145.0 Mobile/15E148 Safari/605.1.15`, "Firefox on iPhone"],
    [
      "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1",
      "Safari on iPad",
    ],
    [
      "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
      "Safari on macOS",
    ],
    [`Mozilla/5.0 (Linux; Android 10; K) ${BLINK} Chrome/142.0.0.0 Mobile Safari/537.36`, "Chrome on Android"],
    [
      `Mozilla/5.0 (Linux; Android 14; SM-S918B) ${BLINK} SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36`,
      "Samsung Internet on Android",
    ],
    ["Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0", "Firefox on Android"],
    ["Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Linux"],
    [`Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) ${BLINK} Chrome/142.0.0.0 Safari/537.36`, "Chrome on Chrome OS"],
    ["VideaMozi/2.1 (iPhone; iOS 18.1; Scale/3.00)", "VideaMozi on iPhone"],
    ["VideaMozi/2.1 CFNetwork/1568 Darwin/24.1.0", "VideaMozi"],
    ["okhttp/4.12.0", "okhttp"],
    ["curl/8.5.0", "curl"],
  ])("%s", (userAgent, device) => {
    expect(deviceOf(userAgent)).toBe(device);
  });

  it.each([
    ["nothing", "", null],
    ["a word", "test", null],
    ["control characters", "\u0000\u0007\u001b[31m/1", null],
    ["a page to go to", "evil.example/1.0", null],
    ["a page to go to, on a known system", "https://evil.example/1.0 (Windows NT 10.0)", "Windows"],
    ["markup", "Evil<script>alert(1)</script>/1.0 (Windows NT 10.0)", "Windows"],
    ["a text that turns its direction", "Evil\u202egpj/1.0 (Windows NT 10.0)", "Windows"],
    ["a name that is too long", `${"a".repeat(200)}/1.0`, null],
    ["a property of every object", "constructor/1.0", "constructor"],
    ["another one", "__proto__/1.0", null],
    ["more than is looked at", `${" ".repeat(300)}${WINDOWS}; rv:145.0) Gecko/20100101 Firefox/145.0`, null],
  ])("says no more than it knows of %s", (_, userAgent, device) => {
    expect(deviceOf(userAgent)).toBe(device);
  });

  it("is short, visible and found without throwing, whatever comes", () => {
    const part = fc.oneof(
      fc.string({ unit: "binary", maxLength: 40 }),
      fc.constantFrom(
        "Mozilla/5.0 ",
        "(iPhone; ",
        "Android ",
        "Chrome/1 ",
        "Version/",
        "Windows NT ",
        "\u202e",
        "\r\n",
        "/",
        " like Mac OS X)",
      ),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 30 }), (parts) => {
        const device = deviceOf(parts.join(""));
        if (device !== null) expect(device).toMatch(/^[\x20-\x7e]{1,80}$/);
      }),
      { numRuns: 500 },
    );
  });

  it("takes no longer for what was made to take long", () => {
    const startedMs = performance.now();
    for (const unit of ["(", "/", "a/", "1.", "android ", "linux ", "iphone os 1_", "Mac OS X ", "\t", "Version/1"]) {
      for (let turn = 0; turn < 20; turn += 1) deviceOf(unit.repeat(300));
    }
    // 200 of them: about 10 ms on a machine that does nothing else.
    expect(performance.now() - startedMs).toBeLessThan(3_000);
  });
});
