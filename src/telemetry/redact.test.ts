import { describe, expect, it } from "@jest/globals";
import { Secret } from "#src/kernel/secret";
import { redactFields, redactText } from "./redact.ts";

const jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";

describe("fields of a log line", () => {
  it.each([
    "password",
    "newPassword",
    "password_hash",
    "token",
    "accessToken",
    "refresh_token",
    "Authorization",
    "cookie",
    "set-cookie",
    "apiKey",
    "clientSecret",
    "privateKey",
  ])("named %s are hidden, also deep within", (name) => {
    const printed = JSON.stringify(redactFields({ user: { list: [{ [name]: "hunter2" }] }, [name]: { value: "hunter2" } }));
    expect(printed).not.toContain("hunter2");
    expect(printed).toContain("[redacted]");
  });

  it("that only sound like secrets are kept", () => {
    const fields = { tokenExpiresAt: "2026-01-01", revokedTokens: 3, passwordChanged: true, secretary: "Ann", token: undefined };
    expect(redactFields(fields)).toEqual(fields);
  });

  it("hide secrets by type", () => {
    expect(redactFields({ url: new Secret("postgres://u:p@h") })).toEqual({ url: "[secret]" });
  });

  it("show errors with code, cause and stack", () => {
    const error = Object.assign(new Error("outer", { cause: new TypeError("inner") }), { code: "57P01", query: "select password" });
    expect(redactFields({ error })).toEqual({
      error: {
        name: "Error",
        message: "outer",
        code: "57P01",
        stack: expect.stringContaining("redact.test.ts"),
        cause: expect.objectContaining({ name: "TypeError", message: "inner" }),
      },
    });
  });

  it("are always printable", () => {
    const cycle: Record<string, unknown> = {
      big: 10n,
      symbol: Symbol("s"),
      call: () => 1,
      set: new Set([1]),
      map: new Map([["a", 1]]),
      bytes: Buffer.alloc(5),
    };
    cycle["self"] = cycle;
    let deep: unknown = "bottom";
    for (let n = 0; n < 10_000; n += 1) deep = { deep };
    const failing = Object.assign(new Error("loop"), {});
    failing.cause = failing;
    const fields = redactFields({
      cycle,
      deep,
      failing,
      when: new Date(0),
      never: new Date(Number.NaN),
      many: Array.from({ length: 10_000 }, () => 1),
    });
    const printed = JSON.stringify(fields);
    expect(printed.length).toBeLessThan(20_000);
    expect(fields["cycle"]).toMatchObject({
      big: "10",
      call: "[function]",
      set: [1],
      map: { a: 1 },
      bytes: "[5 bytes]",
      self: "[circular]",
    });
    expect(fields).toMatchObject({ when: "1970-01-01T00:00:00.000Z", never: "[invalid date]" });
    expect(printed).not.toContain("bottom");
  });
});

describe("text", () => {
  it.each([
    [`bad token ${jwt} given`, "bad token [redacted] given"],
    ["Authorization: Bearer abcdefgh12345678", "Authorization: Bearer [redacted]"],
    ["connect postgres://user:hunter2@db:5432/x", "connect postgres://user:[redacted]@db:5432/x"],
    ["nothing to hide", "nothing to hide"],
  ])("%s becomes %s", (text, expected) => {
    expect(redactText(text)).toBe(expected);
  });

  it("of any length takes no time", () => {
    const startedMs = performance.now();
    redactText("eyJ".repeat(100_000));
    redactText("://".repeat(100_000));
    redactText(`bearer ${" ".repeat(300_000)}`);
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });
});
