import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import pg from "pg";
import { silentLog } from "#src/kernel/log";
import { cloneDatabase } from "../../test/kit/database.ts";
import { schemaText } from "../../test/kit/schema-text.ts";
import { migrate } from "./migrate.ts";

const folder = join(import.meta.dirname, "..", "..", "migrations");

describe("migrations", () => {
  it("make the schema that migrations/schema.sql shows", async () => {
    await using database = await cloneDatabase();
    const text = await schemaText(database.url);
    const file = join(folder, "schema.sql");
    if (process.env["UPDATE_SCHEMA"] !== undefined) await writeFile(file, text);

    expect(text).toBe(await readFile(file, "utf8"));
  });

  it("do nothing the second time, and wait for each other when started at once", async () => {
    await using database = await cloneDatabase();
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    try {
      await client.query("drop owned by current_user cascade");
    } finally {
      await client.end();
    }
    const files = (await readdir(folder)).filter((file) => file.endsWith(".ts"));

    const outcomes = await Promise.all([1, 2, 3].map(() => migrate({ databaseUrl: database.url, log: silentLog })));

    expect(outcomes.map(({ applied }) => applied.length).sort((a, b) => a - b)).toEqual([0, 0, files.length]);
    expect((await migrate({ databaseUrl: database.url, log: silentLog })).applied).toEqual([]);
  });

  it("say in their headers which phase they are, what they lock, and why the old version may go on", async () => {
    for (const name of (await readdir(folder)).filter((file) => file.endsWith(".ts"))) {
      const text = await readFile(join(folder, name), "utf8");
      expect({
        name,
        header: /^\/\*\* Phase: (expand|migrate|contract)\. Locks: .+\. Safe .+old version/s.test(text),
        bounded: text.includes("lock_timeout") || text.includes("index concurrently"),
      }).toEqual({
        name,
        header: true,
        bounded: true,
      });
    }
  });
});
