import { describe, expect, it } from "@jest/globals";
import { impositionBody, liftBody, userParams } from "./restrictions.schemas.ts";

const ban = { kind: "ban", reason: "spam" };

function pathsOf(body: unknown): string[] {
  const result = impositionBody.safeParse(body);
  return result.success ? [] : result.error.issues.map((issue) => issue.path.join("."));
}

describe("the body of a restriction", () => {
  it.each([
    [ban],
    [{ ...ban, startsAt: "2026-11-24T15:00:00Z", expiresAt: "2026-11-24T17:00:00+01:00" }],
    [{ kind: "suspend", reason: "other", expiresAt: "2026-12-24T15:00:00Z", message: "Two\nlines" }],
    [{ kind: "limit", reason: "hate", capabilities: ["post", "upload"] }],
  ])("takes %j", (body) => {
    expect(pathsOf(body)).toEqual([]);
  });

  it.each([
    ["a suspension without end", { kind: "suspend", reason: "spam" }, ["expiresAt"]],
    ["a limit of nothing", { kind: "limit", reason: "spam" }, ["capabilities"]],
    ["an empty limit", { kind: "limit", reason: "spam", capabilities: [] }, ["capabilities"]],
    ["a ban with capabilities", { ...ban, capabilities: ["post"] }, ["capabilities"]],
    ["an unknown capability", { kind: "limit", reason: "spam", capabilities: ["breathe"] }, ["capabilities.0"]],
    ["a reason off the list", { kind: "ban", reason: "I felt like it" }, ["reason"]],
    ["no reason", { kind: "ban" }, ["reason"]],
    ["an unknown kind", { kind: "shadow", reason: "spam" }, ["kind"]],
    ["a day that does not exist", { ...ban, expiresAt: "2026-02-30T00:00:00Z" }, ["expiresAt"]],
    ["a moment without zone", { ...ban, expiresAt: "2026-11-24T15:00:00" }, ["expiresAt"]],
    ["a number for a moment", { ...ban, expiresAt: 1_800_000_000 }, ["expiresAt"]],
    ["an empty message", { ...ban, message: " " }, ["message"]],
    ["a message that is too long", { ...ban, message: "x".repeat(1001) }, ["message"]],
    ["a control character", { ...ban, message: "a\u0007b" }, ["message"]],
    ["a NUL", { ...ban, message: "a\u0000b" }, ["message"]],
    ["half of a surrogate pair", { ...ban, message: "a\ud800b" }, ["message"]],
    ["text that turns around", { ...ban, message: "a\u202eb" }, ["message"]],
    ["a field it does not know", { ...ban, strikes: 3 }, [""]],
  ])("refuses %s", (_what, body, paths) => {
    expect(pathsOf(body)).toEqual(paths);
  });

  it("keeps line breaks in one form", () => {
    expect(impositionBody.parse({ ...ban, message: " a\r\nb " }).message).toBe("a\nb");
  });
});

describe("the other inputs", () => {
  it("need a note to lift", () => {
    expect(liftBody.safeParse({}).success).toBe(false);
    expect(liftBody.safeParse({ note: "  " }).success).toBe(false);
    expect(liftBody.parse({ note: "a mistake" })).toEqual({ note: "a mistake" });
  });

  it("give ids in the form rows have, so that nobody is somebody else in capitals", () => {
    expect(userParams.parse({ id: "019ABC00-0000-7000-8000-00000000000A" }).id).toBe("019abc00-0000-7000-8000-00000000000a");
  });
});
