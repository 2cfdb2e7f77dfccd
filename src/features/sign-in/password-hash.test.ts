import { argon2Sync } from "node:crypto";
import { afterAll, describe, expect, it } from "@jest/globals";
import bcryptjs from "bcryptjs";
import { Problem } from "#src/kernel/problem";
import { isCommonPassword } from "./common-passwords.ts";
import { markImported } from "./imported-hash.ts";
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

describe("password hashes of another system", () => {
  // Made by the libraries of other languages' defaults; the password is `securepass`, or the long one below.
  const bcrypt = (password: string): string => bcryptjs.hashSync(password, 4);

  it.each(["$2a$", "$2b$", "$2y$"])("are compared where they are bcrypt's %s, and outdated at once", async (prefix) => {
    const stored = markImported(bcrypt("securepass").replace("$2b$", prefix));

    expect(await hasher.verify("securepass", stored)).toBe(true);
    expect(await hasher.verify("securepasz", stored)).toBe(false);
    expect(hasher.isOutdated(stored)).toBe(true);
    expect(hasher.isOutdated(await hasher.hash("securepass"))).toBe(false);
  });

  it.each([
    ["letters", "a".repeat(100), `${"a".repeat(72)}b`, `${"a".repeat(71)}b${"a".repeat(28)}`],
    // The 72nd byte is the first half of é.
    ["half a letter", `${"a".repeat(71)}é-and-more`, `${"a".repeat(71)}è`, `${"a".repeat(71)}ö!`],
  ])("are cut after 72 bytes as that system did, then hashed whole in ours: %s", async (what, password, alike, different) => {
    const stored = markImported(bcrypt(password));

    expect(await hasher.verify(password, stored)).toBe(true);
    expect(await hasher.verify(alike, stored)).toBe(true);
    expect(await hasher.verify(different, stored)).toBe(what === "half a letter");
    const ours = await hasher.hash(password);
    expect([await hasher.verify(password, ours), await hasher.verify(alike, ours), hasher.isOutdated(ours)]).toEqual([true, false, false]);
  });

  it("are compared with what was typed, spelled as it was: that system made no two spellings one", async () => {
    const stored = markImported(bcrypt("pa\u0308ssword-long"));

    expect(await hasher.verify("pa\u0308ssword-long", stored)).toBe(true);
    expect(await hasher.verify("p\u00e4ssword-long", stored)).toBe(false);
  });

  it("are compared where they are argon2id, as another library wrote it, several at once too", async () => {
    const stored = markImported(argon2idOf("sécurepass".repeat(9), { memory: 1024, passes: 2, parallelism: 4 }));

    const outcomes = await Promise.all(
      ["sécurepass".repeat(9), "securepass", "sécurepass".repeat(9)].map((candidate) => hasher.verify(candidate, stored)),
    );

    expect(outcomes).toEqual([true, false, true]);
    expect(hasher.isOutdated(stored)).toBe(true);
  });

  it("do not count where they stand without their mark, and ours do not with it", async () => {
    expect(await hasher.verify(`${"a".repeat(72)}b`, bcrypt("a".repeat(100)))).toBe(false);
    expect(await hasher.verify("a".repeat(100), markImported((await hasher.hash("a".repeat(100))).replace("sha256$", "")))).toBe(false);
  });
});

/** By Node's own argon2, in the form that libraries store. */
function argon2idOf(password: string, cost: { readonly memory: number; readonly passes: number; readonly parallelism: number }): string {
  const nonce = Buffer.from("a salt of theirs");
  const hash = argon2Sync("argon2id", { message: password, nonce, tagLength: 32, ...cost });
  const base64 = (bytes: Buffer): string => bytes.toString("base64").replace(/=+$/, "");
  return `$argon2id$v=19$m=${cost.memory},t=${cost.passes},p=${cost.parallelism}$${base64(nonce)}$${base64(hash)}`;
}

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
      refuseGuessable(candidate, account, "body.password");
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

  it("knows the first that are tried in any case, also what other alphabets and years make of them", () => {
    const common = "trustno1 BASEBALL iloveyou1 michelle liverpool 0123456789 qwertyqwerty contraseña Summer2026 jonathan1 passw0rd";
    expect(common.split(" ").filter((one) => !isCommonPassword(one))).toEqual([]);
    expect(["securepass", "new password", "a long password", "correct horse battery"].filter(isCommonPassword)).toEqual([]);
  });

  it("counts characters as people do: 8 to 128", () => {
    expect(password.safeParse("1234567").success).toBe(false);
    expect(password.safeParse("\u{1F512}".repeat(8)).success).toBe(true);
    expect(password.safeParse("x".repeat(128)).success).toBe(true);
    expect(password.safeParse("x".repeat(129)).success).toBe(false);
  });
});
