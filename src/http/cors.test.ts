import { describe, expect, it } from "@jest/globals";
import { createCors } from "./cors.ts";

const allowed = (headers: readonly string[] | undefined): string | undefined => {
  const at = headers?.indexOf("Access-Control-Allow-Origin") ?? -1;
  return at === -1 ? undefined : headers?.[at + 1];
};

describe("the allow-list of origins", () => {
  const cors = createCors(["https://app.example.com"]);

  it("names an allowed origin, with credentials, and says that the answer varies", () => {
    expect(cors.answerHeaders("https://app.example.com")).toEqual(
      expect.arrayContaining(["Vary", "Origin", "https://app.example.com", "Access-Control-Allow-Credentials"]),
    );
  });

  it.each([
    "https://app.example.com.evil.test",
    "https://evil.test/https://app.example.com",
    "https://APP.example.com",
    "https://app.example.com:443",
    "http://app.example.com",
    "https://sub.app.example.com",
    "null",
    "*",
    "",
    "http://localhost:3000",
  ])("says nothing to %s, and never reflects (@koa/cors CVE-2023-49803)", (origin) => {
    expect([cors.allows(origin), cors.allowsCookies(origin)]).toEqual([false, false]);
    expect(cors.answerHeaders(origin)).toEqual(["Vary", "Origin"]);
    expect(cors.preflightHeaders("OPTIONS", { origin, "access-control-request-method": "POST" })).toEqual(["Vary", "Origin"]);
  });

  it("says nothing without an origin but that the answer varies", () => {
    expect(cors.answerHeaders(undefined)).toEqual(["Vary", "Origin"]);
  });

  it("answers a preflight", () => {
    const headers = cors.preflightHeaders("OPTIONS", { origin: "https://app.example.com", "access-control-request-method": "PATCH" });
    expect(allowed(headers)).toBe("https://app.example.com");
    expect(headers?.join(" ")).toContain("PATCH");
    expect(headers?.join(" ")).toContain("X-CSRF-Token, X-Session-Mode");
  });

  it("takes OPTIONS without a wanted method for no preflight", () => {
    expect(cors.preflightHeaders("OPTIONS", { origin: "https://app.example.com" })).toBeUndefined();
    expect(cors.preflightHeaders("POST", { origin: "https://app.example.com", "access-control-request-method": "POST" })).toBeUndefined();
  });
});

describe("localhost-any-port", () => {
  const cors = createCors(["localhost-any-port"]);

  it.each(["http://localhost:3000", "http://localhost", "http://127.0.0.1:5173", "http://[::1]:8080"])("allows %s", (origin) => {
    expect(cors.allows(origin)).toBe(true);
  });

  it("is for no cookies: all ports of a machine are one site", () => {
    const origin = "http://localhost:3000";
    expect(cors.allowsCookies(origin)).toBe(false);
    const headers = [cors.answerHeaders(origin), cors.preflightHeaders("OPTIONS", { origin, "access-control-request-method": "POST" })];
    expect(headers.flat()).not.toContain("Access-Control-Allow-Credentials");
    const both = createCors(["localhost-any-port", origin]);
    expect(both.allowsCookies(origin)).toBe(true);
    expect(both.answerHeaders(origin)).toContain("Access-Control-Allow-Credentials");
  });

  it.each([
    "https://localhost:3000",
    "http://localhost.evil.test",
    "http://localhost:3000.evil.test",
    "http://evil.test:3000",
    "http://localhost:3000@evil.test",
    "http://127.0.0.1.evil.test",
    "http://127.0.0.2:3000",
    "localhost-any-port",
    "null",
  ])("does not allow %s", (origin) => {
    expect(cors.allows(origin)).toBe(false);
  });
});
