import { describe, expect, it } from "@jest/globals";
import { systemClock } from "#src/kernel/clock";
import { MOST_LINE_BYTES, readLines, type Line } from "./import-lines.ts";
import { userReader, type ReadLine } from "./imported-user.ts";

const read = userReader(systemClock);
const ann = { username: "ann", email: "ann@example.com" };

async function* inChunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  await Promise.resolve();
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

async function linesOf(bytes: string | Buffer, size = 7): Promise<Line[]> {
  const lines: Line[] = [];
  for await (const line of readLines(inChunks(Buffer.from(bytes as string), size))) lines.push(line);
  return lines;
}

const reading = (text: string | Buffer): ReadLine => read({ number: 1, bytes: Buffer.from(text as string) });
const readOne = (fields: object): ReadLine => reading(JSON.stringify({ ...ann, ...fields }));

/** `field: message` of each refusal, the line itself without field. */
function refusalsOf(one: ReadLine): string[] {
  return one.kind === "refused" ? one.refusals.map(({ field, message }) => (field === undefined ? message : `${field}: ${message}`)) : [];
}

describe("lines of a file", () => {
  it.each([1, 2, 3, 7, 1000])("are the same in chunks of %i bytes: numbered, without ends, whatever the ends are", async (size) => {
    const lines = await linesOf('\ufeff{"a":"é"}\r\n\n  \r\nb\u2028c\rd\nlast', size);

    expect(lines.map(({ number, bytes }) => [number, bytes?.toString()])).toEqual([
      [1, '{"a":"é"}'],
      [2, ""],
      [3, "  "],
      [4, "b\u2028c\rd"],
      [5, "last"],
    ]);
  });

  it("are none in an empty file, and one in a file without an end of line", async () => {
    expect(await linesOf("")).toEqual([]);
    expect((await linesOf("x\n")).length).toBe(1);
  });

  it("that are too long are passed over, and the next one counts", async () => {
    const lines = await linesOf(`${"x".repeat(10 * 1024 * 1024)}\n${"y".repeat(MOST_LINE_BYTES)}\nz`, 64 * 1024);

    expect(lines.map(({ number, bytes }) => [number, bytes?.length])).toEqual([
      [1, undefined],
      [2, MOST_LINE_BYTES],
      [3, 1],
    ]);
  });
});

describe("a line of an import", () => {
  it("is a user, with what was left out as at a registration", () => {
    expect(readOne({})).toEqual({
      kind: "user",
      line: 1,
      user: { ...ann, emailVerified: false, bio: "", roles: [], locale: "en" },
    });
    expect(
      readOne({
        id: "A1B2C3D4-0000-4000-8000-000000000001",
        emailVerified: true,
        displayName: "  Ánn   B ",
        bio: "One\r\ntwo",
        roles: ["moderator", "user"],
        locale: "hu-HU",
        createdAt: "2019-05-01T12:00:00+02:00",
      }),
    ).toMatchObject({
      user: {
        id: "a1b2c3d4-0000-4000-8000-000000000001",
        displayName: "Ánn B",
        bio: "One\ntwo",
        roles: ["moderator", "user"],
        locale: "hu",
        createdAt: new Date("2019-05-01T10:00:00Z"),
      },
    });
  });

  it("is nothing where only blanks are", () => {
    expect(["", "  ", "\t\r"].map((text) => reading(text).kind)).toEqual(["empty", "empty", "empty"]);
  });

  it.each([
    [
      "a name that cannot be one",
      { username: "a b" },
      ["username: only letters a–z, digits, _ and . are possible, and a letter or digit at both ends"],
    ],
    ["a reserved name", { username: "Admin" }, ["username: this name is reserved"]],
    ["no address", { email: "ann" }, ["email: an e-mail address like ann@example.com"]],
    ["an address that is no text", { email: null }, ["email: must be a string"]],
    ["an admin", { roles: ["user", "admin"] }, ['roles.1: must be "user" or "moderator"; an admin cannot be imported']],
    ["a role of all", { roles: "moderator" }, ["roles: must be a list"]],
    ["an id that is none", { id: "7" }, ["id: a UUID"]],
    ["nobody's id", { id: "00000000-0000-0000-0000-000000000000" }, ["id: a UUID that is somebody's"]],
    ["yes for true", { emailVerified: "yes" }, ["emailVerified: must be a boolean"]],
    [
      "text that turns around",
      { displayName: "ann\u202e" },
      ["displayName: no line breaks, control, direction-changing or invisible characters"],
    ],
    ["NUL", { bio: "a\0b" }, ["bio: no control, direction-changing or invisible characters"]],
    ["half a surrogate pair", { bio: "a\ud800" }, ["bio: no control, direction-changing or invisible characters"]],
    ["a time that is none", { createdAt: "yesterday" }, ["createdAt: must be a time like 2024-05-01T12:00:00Z"]],
    ["a time to come", { createdAt: "2999-01-01T00:00:00Z" }, ["createdAt: must lie between 1970 and now"]],
    ["a password", { password: "hunter22" }, ["password: is no field that can be imported"]],
    ["a field that clears the screen", { "\u001b[2J\u009b": 1 }, ["?[2J?: is no field that can be imported"]],
    ["several flaws", { username: "x", email: "y" }, ["username: at least 3 characters", "email: an e-mail address like ann@example.com"]],
  ])("is refused for %s", (_what, fields, refusals) => {
    expect(refusalsOf(readOne(fields))).toEqual(refusals);
  });

  it("never repeats a hash in what it says", () => {
    expect(refusalsOf(readOne({ passwordHash: "$2b$99$secret-of-somebody" }))).toEqual([
      expect.stringContaining("passwordHash: must be bcrypt"),
    ]);
    expect(JSON.stringify(readOne({ passwordHash: "$2b$99$secret-of-somebody" }))).not.toContain("secret-of");
  });

  it.each([
    ["bytes that are no UTF-8", Buffer.from([0x7b, 0xff, 0x7d]), ["is not UTF-8"]],
    ["UTF-16", Buffer.from('\ufeff{"username":"ann"}', "utf16le"), ["is not UTF-8"]],
    ["NUL bytes", '{"username":"a\0b"}', ["is not JSON"]],
    ["half an object", '{"username":"ann"', ["is not JSON"]],
    ["a mark in the middle of the file", `\ufeff${JSON.stringify(ann)}`, ["is not JSON"]],
    ["a list", "[]", ["must be a JSON object"]],
    ["null", "null", ["must be a JSON object"]],
    ["two objects", "{}{}", ["is not JSON"]],
    ["deep lists", "[".repeat(32_000) + "]".repeat(32_000), ["must be a JSON object"]],
    [
      "deep lists in a field",
      `{"username":"ann","email":"ann@example.com","bio":${"[".repeat(30_000)}${"]".repeat(30_000)}}`,
      ["bio: must be a string"],
    ],
    [
      "a prototype",
      '{"username":"ann","email":"ann@example.com","__proto__":{"roles":["admin"]}}',
      ["__proto__: is no field that can be imported"],
    ],
    [
      "a constructor",
      '{"username":"ann","email":"ann@example.com","constructor":{"prototype":{}}}',
      ["constructor: is no field that can be imported"],
    ],
  ])("is refused for %s", (_what, text, refusals) => {
    expect(refusalsOf(reading(text))).toEqual(refusals);
    expect(({} as { roles?: unknown }).roles).toBeUndefined();
  });

  it("that is hostile takes no time, and little is said of it", () => {
    const startedMs = systemClock.monotonicMs();
    const hostile = [
      readOne({ email: `${"a.".repeat(30_000)}@` }),
      readOne({ email: `a@${"a-".repeat(30_000)}` }),
      readOne({ username: "a.".repeat(30_000) }),
      readOne({ displayName: "\u0301".repeat(20_000) }),
      readOne({ createdAt: "2".repeat(60_000) }),
      readOne({ roles: Array.from({ length: 10_000 }, () => 1) }),
      readOne(Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`field${index}`, 1]))),
    ];

    expect(hostile.map((one) => [one.kind, refusalsOf(one).length <= 20])).toEqual(hostile.map(() => ["refused", true]));
    expect(systemClock.monotonicMs() - startedMs).toBeLessThan(2_000);
  });
});
