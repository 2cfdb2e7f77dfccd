/** `npm run import`, as whoever moves in runs it: its own process, a real file, and sometimes no luck. */

import { createWriteStream } from "node:fs";
import { mkdtemp, readFile, stat, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import bcryptjs from "bcryptjs";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import { startService, type Exit, type RunningProgram } from "../kit/process.ts";
import { runFolder } from "../kit/run-folder.ts";
import { logIn, onDatabase, startApiProcess } from "../kit/service.ts";
import { until } from "../kit/until.ts";

const ENTRY = fileURLToPath(new URL("../../src/main/import.ts", import.meta.url));
const PASSWORD = "correct horse battery";

const person = (index: number, fields: object = {}): string =>
  JSON.stringify({
    id: `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`,
    username: `person${index}`,
    email: `person${index}@example.com`,
    ...fields,
  });

async function fileOf(...parts: (string | Buffer)[]): Promise<string> {
  const file = join(await mkdtemp(join(runFolder(), "import-")), "users.jsonl");
  const stream = createWriteStream(file);
  for (const part of parts) stream.write(part);
  stream.end();
  await once(stream, "close");
  return file;
}

const start = (database: Pick<TestDatabase, "url"> | undefined, ...args: string[]): Promise<RunningProgram> =>
  startService({ entry: ENTRY, args, env: database === undefined ? {} : { DATABASE_URL: database.url } });

async function run(database: Pick<TestDatabase, "url"> | undefined, ...args: string[]): Promise<Exit & { readonly output: string }> {
  await using program = await start(database, ...args);
  const exit = await program.exited;
  return { ...exit, output: program.output };
}

const counts = async (database: TestDatabase): Promise<object | undefined> =>
  (
    await onDatabase(
      database.adminUrl,
      `select (select count(*)::int from users) as users, (select count(*)::int from credentials) as credentials,
         (select count(*)::int from outbox) as events, (select count(*)::int from user_versions) as versions,
         (select md5(string_agg(concat_ws(',', id, username, email, display_name, roles), ';' order by id)) from users) as content`,
    )
  )[0];

describe("npm run import", () => {
  it("brings people in who sign in with the password they had, and says what it did", async () => {
    await using database = await cloneDatabase();
    const passwordHash = bcryptjs.hashSync(PASSWORD, 4).replace("$2b$", "$2y$");
    const file = await fileOf(`\ufeff${person(1, { passwordHash })}\r\n\r\n${person(2)}`);

    expect(await run(database, file)).toMatchObject({ code: 0, output: "import: 2 lines, 2 made, 0 unchanged, 0 refused\n" });
    expect(await run(database, file)).toMatchObject({ code: 0, output: "import: 2 lines, 0 made, 2 unchanged, 0 refused\n" });

    await using api = await startApiProcess({ database });
    expect(await logIn(api.http, "person1", PASSWORD)).toMatchObject({ id: "00000000-0000-4000-8000-000000000001" });
  });

  it("lets nothing through of a hostile file but its good lines, and reports each bad one", async () => {
    await using database = await cloneDatabase();
    const file = await fileOf(
      `${person(1)}\n`,
      "x".repeat(10 * 1024 * 1024),
      `\n${person(2, { bio: "b".repeat(80_000) })}\n`,
      Buffer.from([0xc3, 0x28, 0x0a]),
      Buffer.from('{"username":"a\0b"}\n'),
      `${"[".repeat(60_000)}\n`,
      `{"__proto__":{"roles":["admin"]},${person(3).slice(1)}\n`,
      `${person(4, { roles: ["admin"] })}\n`,
      `${person(5, { passwordHash: "$argon2id$v=19$m=4194304,t=3,p=4$c2FsdHNhbHRzYWx0c2FsdA$7iPWd1P9XhXzqCjVtlLdNO9OZXCvxwCKzKYMZyYRNaY" })}\n`,
      `${person(6)}\n`,
      `${"{}\n".repeat(150)}`,
    );
    const report = `${file}.report`;

    const dry = await run(database, file, "--dry-run");
    expect(await counts(database)).toMatchObject({ users: 0, events: 0 });
    const { code, output } = await run(database, file, "--report", report);

    expect(code).toBe(1);
    expect(output).toMatch(/^import: 160 lines, 2 made, 0 unchanged, 158 refused$/m);
    expect(dry).toMatchObject({ code: 1, output: output.replace("2 made", "2 would be made") });
    const reported = (await readFile(report, "utf8"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { line: number; field?: string; message: string });
    expect(reported.slice(0, 8)).toEqual([
      { line: 2, message: "is longer than 65536 bytes" },
      { line: 3, message: "is longer than 65536 bytes" },
      { line: 4, message: "is not UTF-8" },
      { line: 5, message: "is not JSON" },
      { line: 6, message: "is not JSON" },
      { line: 7, field: "__proto__", message: "is no field that can be imported" },
      { line: 8, field: "roles.0", message: expect.stringContaining("an admin cannot be imported") },
      { line: 9, field: "passwordHash", message: expect.stringContaining("at most m=262144") },
    ]);
    expect(new Set(reported.map(({ line }) => line)).size).toBe(158);
    expect(output.match(/^line \d+/gm)).toHaveLength(100);
    expect(output).toContain("further ones are counted only");
    expect(output).not.toContain("c2FsdHNhbHR");
    expect((await stat(report)).mode & 0o777).toBe(0o600);
  });

  it.each([[[]], [["--resume"]]])("killed in the middle and run again with %j ends as if it had not been killed", async (again) => {
    await using database = await cloneDatabase();
    await using other = await cloneDatabase();
    const hash = bcryptjs.hashSync(PASSWORD, 4);
    const file = await fileOf(
      ...Array.from({ length: 12_000 }, (_, index) => `${person(index, index % 3 === 0 ? {} : { passwordHash: hash })}\n`),
    );
    await using program = await start(database, file);
    const made = async (): Promise<number> =>
      Number((await onDatabase<{ n: string }>(database.adminUrl, "select count(*) as n from users"))[0]?.n);
    await until(async () => (await made()) >= 1_000, { what: "the first batches", withinMs: 60_000 });
    await program.stop("SIGKILL");
    const half = await made();
    expect(half).toBeGreaterThan(0);
    expect(half).toBeLessThan(12_000);

    const { code, output } = await run(database, file, ...again);

    expect([code, output]).toEqual([0, `import: 12000 lines, ${12_000 - half} made, ${half} unchanged, 0 refused\n`]);
    await run(other, file);
    expect(await counts(database)).toEqual(await counts(other));
    expect(await counts(database)).toMatchObject({ users: 12_000, credentials: 8_000, events: 12_000, versions: 12_000 });
  });

  it("ends with 78 where it is called or configured wrongly, and has touched nothing", async () => {
    await using database = await cloneDatabase();
    const file = await fileOf(`${person(1)}\n`);

    expect(await run(undefined, file)).toMatchObject({ code: 78, output: expect.stringContaining("DATABASE_URL: must be set") });
    expect(await run(database)).toMatchObject({ code: 78, output: expect.stringContaining("usage: import FILE") });
    expect(await run(database, file, "--dry")).toMatchObject({ code: 78, output: expect.stringContaining("usage: import FILE") });
    expect(await run(database, file, file)).toMatchObject({ code: 78 });
    expect(await run(database, `${file}.absent`)).toMatchObject({ code: 78, output: expect.stringContaining("there is no file") });
    expect(await run(database, file, "--report", file)).toMatchObject({
      code: 78,
      output: expect.stringContaining("written over the file"),
    });
    expect(await readFile(file, "utf8")).toContain("person1");
    const absent = new URL(database.url);
    absent.pathname = "/there_is_no_such_database";
    expect(await run({ url: absent.href }, file)).toMatchObject({ code: 78, output: expect.stringContaining("cannot be reached") });
    await onDatabase(database.adminUrl, "drop table credentials, users cascade");
    expect(await run(database, file)).toMatchObject({ code: 78, output: expect.stringContaining("npm run migrate") });
    await writeFile(file, "");
  });
});
