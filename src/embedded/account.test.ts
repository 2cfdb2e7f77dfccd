import { chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "@jest/globals";
import { describeAsRoot } from "../../test/kit/requires.ts";
import { accountFor } from "./account.ts";

const ROOT = "root:x:0:0:root:/root:/bin/sh";
const NOBODY = "nobody:x:65534:65533:nobody:/:/usr/sbin/nologin";
const POSTGRES = "postgres:x:101:104::/var/lib/postgresql:/bin/sh";

let folder: string;
let passwd: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "account-"));
  passwd = join(folder, "passwd");
});
afterEach(() => rm(folder, { recursive: true }));

describeAsRoot("the account PostgreSQL runs as when root starts it", () => {
  it("is postgres where there is one", async () => {
    await writeFile(passwd, [ROOT, NOBODY, POSTGRES, ""].join("\n"));
    expect(await accountFor(join(folder, "data"), passwd)).toEqual({ name: "postgres", uid: 101, gid: 104 });
  });

  it("is nobody elsewhere", async () => {
    await writeFile(passwd, [ROOT, NOBODY].join("\n"));
    expect(await accountFor(join(folder, "data"), passwd)).toEqual({ name: "nobody", uid: 65_534, gid: 65_533 });
  });

  it("is the owner of data that exists, known by name or not", async () => {
    await writeFile(passwd, [ROOT, POSTGRES].join("\n"));
    await chown(folder, 4_321, 4_322);
    expect(await accountFor(folder, passwd)).toEqual({ name: "uid 4321", uid: 4_321, gid: 4_322 });
    await chown(folder, 101, 104);
    expect(await accountFor(folder, passwd)).toEqual({ name: "postgres", uid: 101, gid: 104 });
  });
});
