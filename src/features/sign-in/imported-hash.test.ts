import { describe, expect, it } from "@jest/globals";
import { flawOfHash, markImported, readImported } from "./imported-hash.ts";

const BCRYPT = "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";
const tail = BCRYPT.slice(7);
const argon2id = (parameters: string, rest = "c2FsdHNhbHRzYWx0c2FsdA$7iPWd1P9XhXzqCjVtlLdNO9OZXCvxwCKzKYMZyYRNaY"): string =>
  `$argon2id$v=19$${parameters}$${rest}`;

describe("a hash that is to be imported", () => {
  it.each([
    BCRYPT,
    `$2b$04$${tail}`,
    `$2y$16$${tail}`,
    argon2id("m=19456,t=2,p=1"),
    argon2id("m=262144,t=10,p=8"),
    argon2id("m=65536,t=3,p=4", "c2FsdHNhbHQ$WKvtMxT8GHa5ESrm2oFPOw"),
  ])("may be %s", (hash) => {
    expect(flawOfHash(hash)).toBeUndefined();
  });

  it.each([
    ["a cost that is no honest one", `$2b$17$${tail}`, "must be bcrypt"],
    ["a cost of 31", `$2b$31$${tail}`, "must be bcrypt"],
    ["a cost below bcrypt's own", `$2b$03$${tail}`, "must be bcrypt"],
    ["the old, wrong bcrypt", `$2x$10$${tail}`, "must be bcrypt"],
    ["what lacks a character", BCRYPT.slice(0, -1), "must be bcrypt"],
    ["what has one more", `${BCRYPT}\n`, "must be bcrypt"],
    ["our own mark", `sha256$${BCRYPT}`, "must be bcrypt"],
    ["the mark of imports", markImported(BCRYPT), "must be bcrypt"],
    ["MD5", "5f4dcc3b5aa765d61d8327deb882cf99", "must be bcrypt"],
    ["the password itself", "securepass", "must be bcrypt"],
    ["nothing", "", "must be bcrypt"],
    ["argon2i", argon2id("m=65536,t=3,p=4").replace("argon2id", "argon2i"), "must be bcrypt"],
    ["another version", argon2id("m=65536,t=3,p=4").replace("v=19", "v=16"), "must be bcrypt"],
    ["too much memory", argon2id("m=262145,t=3,p=4"), "at most m=262144"],
    ["far too much memory", argon2id("m=4294967295,t=3,p=4"), "must be bcrypt"],
    ["too many passes", argon2id("m=65536,t=11,p=4"), "t=10"],
    ["too many lanes", argon2id("m=65536,t=3,p=9"), "p=8"],
    ["no passes", argon2id("m=65536,t=0,p=4"), "1 or more"],
    ["less memory than lanes need", argon2id("m=31,t=3,p=4"), "8 times p"],
    [
      "padded base64",
      argon2id("m=65536,t=3,p=4", "c2FsdHNhbHRzYWx0c2FsdA==$7iPWd1P9XhXzqCjVtlLdNO9OZXCvxwCKzKYMZyYRNaY"),
      "must be bcrypt",
    ],
    ["stray bits", argon2id("m=65536,t=3,p=4", "c2FsdHNhbHRzYWx0c2FsdB$7iPWd1P9XhXzqCjVtlLdNO9OZXCvxwCKzKYMZyYRNaY"), "not base64"],
  ])("may not be %s", (_what, hash, words) => {
    expect(flawOfHash(hash)).toContain(words);
    if (hash !== "") expect(flawOfHash(hash)).not.toContain(hash);
  });

  it("is stored with a mark, and read in the form that our libraries know", () => {
    expect(readImported(markImported(BCRYPT))).toEqual({ algorithm: "bcrypt", hash: BCRYPT.replace("$2a$", "$2b$") });
    expect(readImported(markImported(argon2id("m=8,t=1,p=1")))).toEqual({ algorithm: "argon2id", hash: argon2id("m=8,t=1,p=1") });
    expect([BCRYPT, `sha256$${BCRYPT}`].map(readImported)).toEqual([undefined, undefined]);
  });
});
