import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { cloneDatabase } from "../kit/database.ts";
import { onDatabase } from "../kit/service.ts";

const PROGRAM = fileURLToPath(new URL("../../src/main/migrate.ts", import.meta.url));
const ADMIN = {
  BOOTSTRAP_ADMIN_USERNAME: "chief",
  BOOTSTRAP_ADMIN_EMAIL: "chief@example.com",
  BOOTSTRAP_ADMIN_PASSWORD: "correct horse battery",
};

function migrate(env: Readonly<Record<string, string>>): Promise<{ readonly code: unknown; readonly errors: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM], { env, timeout: 60_000 }, (error, _, errors) =>
      resolve({ code: error === null ? 0 : error.code, errors }),
    );
  });
}

describe("npm run migrate", () => {
  it.each([
    ["a name that cannot be one", { BOOTSTRAP_ADMIN_USERNAME: "ad min" }, "BOOTSTRAP_ADMIN_USERNAME"],
    ["an address that is none", { BOOTSTRAP_ADMIN_EMAIL: "nobody" }, "BOOTSTRAP_ADMIN_EMAIL"],
    ["somebody's name", { BOOTSTRAP_ADMIN_USERNAME: "ann" }, "BOOTSTRAP_ADMIN_USERNAME: somebody who is no admin"],
    ["somebody's address", { BOOTSTRAP_ADMIN_EMAIL: "ann@example.com" }, "BOOTSTRAP_ADMIN_EMAIL: somebody who is no admin"],
  ])("ends, and says which setting is wrong, when the first admin is given %s", async (_, given, said) => {
    await using database = await cloneDatabase();
    const text = "insert into users (id, username, email, display_name) values (gen_random_uuid(), 'ann', 'ann@example.com', 'Ann')";
    await onDatabase(database.adminUrl, text);
    const { code, errors } = await migrate({ ...ADMIN, ...given, DATABASE_URL: database.url });
    expect([code, errors]).toEqual([78, expect.stringContaining(said)]);
    expect(errors.trim().split("\n")).toHaveLength(2);
  });

  it("makes the first admin, once", async () => {
    await using database = await cloneDatabase();
    for (const _ of [1, 2]) expect(await migrate({ ...ADMIN, DATABASE_URL: database.url })).toMatchObject({ code: 0 });
    expect(await onDatabase(database.adminUrl, "select username from users")).toEqual([{ username: "chief" }]);
  });
});
