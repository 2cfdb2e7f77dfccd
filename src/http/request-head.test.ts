import { describe, expect, it } from "@jest/globals";
import { cookiesOf, requestHead } from "./request-head.ts";

describe("cookies of a name", () => {
  it.each<[string, string | undefined, readonly string[]]>([
    ["no header", undefined, []],
    ["an empty header", "", []],
    ["one", "refresh=a.b-c_d", ["a.b-c_d"]],
    ["one among others", "a=1; refresh=x; b=2", ["x"]],
    ["without a blank, with a tab", "a=1;\trefresh=x;b=2", ["x"]],
    ["two", "refresh=x; refresh=y", ["x", "y"]],
    ["two of the same value", "refresh=x; refresh=x", ["x", "x"]],
    ["an empty one", "refresh=", [""]],
    ["a value with equals signs", "refresh=a=b==", ["a=b=="]],
    ["a quoted value, which stays quoted", 'refresh="x"', ['"x"']],
    ["a quoted value with a semicolon, which ends it", 'refresh="x; refresh=y"', ['"x', 'y"']],
    ["an encoded value, which stays encoded", "refresh=%41", ["%41"]],
    ["a name without a value", "refresh", []],
    ["a value without a name", "=refresh=x", []],
    ["another case", "Refresh=x; REFRESH=y", []],
    ["a longer name", "refresh2=x; xrefresh=y; __Host-refresh=z", []],
    ["a blank that HTTP does not know", "\u00a0refresh=x", []],
    ["a comma, which ends nothing", "a=1, refresh=x", []],
    ["names that objects have", "__proto__=x; constructor=y", []],
    ["nothing but semicolons", ";".repeat(8_192), []],
    ["8 KB of one value", `refresh=${"x".repeat(8_192)}`, ["x".repeat(8_192)]],
    ["8 KB of blanks", `refresh=${" ".repeat(8_192)}x`, ["x"]],
  ])("of %s", (_, header, expected) => {
    expect(cookiesOf(header, "refresh")).toEqual(expected);
  });

  it("takes no time that grows faster than the header", () => {
    const startedMs = performance.now();
    cookiesOf(`refresh=x${"\t ".repeat(100_000)}x`, "refresh");
    cookiesOf(`${" ".repeat(200_000)}=`, "refresh");
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });
});

describe("the head of a request", () => {
  const head = requestHead(
    { "x-session-mode": "cookie", cookie: "refresh=x; other=y", authorization: "Bearer z" },
    { headers: { "X-Session-Mode": "the mode" }, cookies: { refresh: "the token" } },
  );

  it("gives what the route declares", () => {
    expect(head.header("X-Session-Mode")).toBe("cookie");
    expect(head.cookies("refresh")).toEqual(["x"]);
  });

  it.each(["Authorization", "Cookie", "constructor"])("does not give the header %s, which it does not declare", (name) => {
    expect(() => head.header(name)).toThrow("does not declare");
  });

  it("does not give a cookie that the route does not declare", () => {
    expect(() => head.cookies("other")).toThrow("does not declare");
  });
});
