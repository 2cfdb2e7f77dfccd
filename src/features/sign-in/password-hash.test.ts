import { afterAll, describe, expect, it } from "@jest/globals";
import { Problem } from "#src/kernel/problem";
import { createPasswordHasher } from "./password-hash.ts";
import { refuseGuessable, password } from "./password-policy.ts";

const hasher = createPasswordHasher({ cost: 4 });
afterAll(() => hasher.close());

describe("password hashes", () => {
  it("are bcrypt's $2b$ form and know their password only", async () => {
    const stored = await hasher.hash("securepass");

    expect(stored).toMatch(/^\$2b\$04\$/);
    expect(await hasher.verify("securepass", stored)).toBe(true);
    expect(await hasher.verify("securepasz", stored)).toBe(false);
  });

  it("never cut a long password: what differs after 72 bytes differs", async () => {
    const long = "a".repeat(72);
    const stored = await hasher.hash(`${long}b`);

    expect(stored).toMatch(/^sha256\$\$2b\$04\$/);
    expect(await hasher.verify(`${long}b`, stored)).toBe(true);
    expect(await hasher.verify(`${long}c`, stored)).toBe(false);
    expect(await hasher.verify(long, await hasher.hash(long))).toBe(true);
    expect(await hasher.verify(`${long}b`, await hasher.hash(long))).toBe(false);
  });

  it("take composed and decomposed spellings for one password", async () => {
    expect(await hasher.verify("pa\u0308ssword-long", await hasher.hash("p\u00e4ssword-long"))).toBe(true);
  });

  it("do the work for an absent account too", async () => {
    expect(await hasher.verify("securepass", undefined)).toBe(false);
    expect(await hasher.verify("no account has this password", undefined)).toBe(false);
  });

  it("turn away what the queue cannot hold, and go on", async () => {
    const small = createPasswordHasher({ cost: 8, threads: 1, maxWaiting: 2 });
    try {
      const outcomes = await Promise.all(
        Array.from({ length: 12 }, () =>
          small.hash("securepass").then(
            () => "hashed",
            (error: unknown) => (error instanceof Problem ? `${error.code} ${error.details.retryAfterSeconds}` : String(error)),
          ),
        ),
      );
      expect(outcomes.filter((outcome) => outcome === "sign_in.busy 2").length).toBeGreaterThanOrEqual(8);
      expect(outcomes).toContain("hashed");
      expect(await small.hash("securepass")).toMatch(/^\$2b\$08/);
    } finally {
      await small.close();
    }
  });
});

describe("a place for a password", () => {
  it("is there once for each thread and each that may wait, and again when given back", async () => {
    await using stack = new AsyncDisposableStack();
    const small = createPasswordHasher({ cost: 4, threads: 1, maxWaiting: 1 });
    stack.defer(() => small.close());
    const [first, second] = [small.reserve(), small.reserve()];

    expect(() => small.reserve()).toThrow(expect.objectContaining({ code: "sign_in.busy" }));
    expect(() => small.refuseWhenFull()).toThrow(expect.objectContaining({ code: "sign_in.busy" }));
    await expect(small.verify("securepass", undefined)).rejects.toMatchObject({ code: "sign_in.busy" });
    expect(await first.verify("securepass", undefined)).toBe(false);

    second[Symbol.dispose]();
    second[Symbol.dispose]();
    expect(await small.verify("securepass", undefined)).toBe(false);
    small.reserve();
    expect(() => small.reserve()).toThrow(expect.objectContaining({ code: "sign_in.busy" }));
  });
});

describe("password policy", () => {
  const account = { username: "johndoe", email: "user@example.com" };
  const refused = (candidate: string): boolean => {
    try {
      refuseGuessable(candidate, account);
      return false;
    } catch (error) {
      return error instanceof Problem && error.code === "password.unsuitable";
    }
  };

  it("accepts securepass and long phrases, refuses what everybody tries and the account's own name", () => {
    expect(refused("securepass")).toBe(false);
    expect(refused("correct horse battery staple")).toBe(false);
    expect(
      ["password123", "PassWord1", "12345678", "aaaaaaaaaa", "ababababab", "johndoe1", "JohnDoe99", "user@example.com"].map(refused),
    ).not.toContain(false);
  });

  it("counts characters as people do: 8 to 128", () => {
    expect(password.safeParse("1234567").success).toBe(false);
    expect(password.safeParse("\u{1F512}".repeat(8)).success).toBe(true);
    expect(password.safeParse("x".repeat(128)).success).toBe(true);
    expect(password.safeParse("x".repeat(129)).success).toBe(false);
  });
});
