import { expect } from "@jest/globals";
import { rows, sql } from "#src/db/sql";
import { rowsOf } from "../row.ts";
import type { Target } from "../target.ts";

/** Every row of every table, as JSON; bytes in hex. */
async function dumpOf({ db }: Target): Promise<string> {
  const tables = await rows<{ name: string }>(
    db,
    sql`select quote_ident(schemaname) || '.' || quote_ident(tablename) as name from pg_tables
        where schemaname not in ('pg_catalog', 'information_schema')`,
  );
  const texts = await Promise.all(
    tables.map(async ({ name }) => JSON.stringify((await db.raw<{ rows: unknown[] }>(`select row_to_json(t) as r from ${name} t`)).rows)),
  );
  return texts.join("\n");
}

export const leftBehindRows = rowsOf("left behind", [
  [
    "a dump of the database holds no secret of all these attacks, as it is, in hex or in base64",
    async (target) => {
      const dump = await dumpOf(target);
      expect(dump).toContain(target.bystander.email);
      expect(target.secrets.kinds()).toEqual(
        expect.arrayContaining([
          "refreshToken",
          "challenge",
          "link",
          "code",
          "secret",
          "recoveryCodes",
          "password",
          "provider code",
          "client secret",
          "key",
          "cookie",
          "binding",
        ]),
      );
      expect(target.secrets.foundIn(dump)).toEqual([]);
      // It would have been found.
      for (const text of [
        Buffer.from(target.bystander.password).toString("hex"),
        `"${Buffer.from(`..${target.bystander.password}..`).toString("base64")}"`,
      ])
        expect(target.secrets.foundIn(dump + text)).toContain("password");
    },
  ],
  [
    "nor do the logs of the processes",
    (target) => {
      const logs = [target.api, target.guarded, target.worker].map(({ program }) => program.output).join("\n");
      expect(logs).toContain(`"kind":"login.succeeded"`);
      expect(target.secrets.foundIn(logs)).toEqual([]);
      return Promise.resolve();
    },
  ],
  [
    "nobody has become staff, and the bystander is as before",
    async ({ db, bystander }) => {
      const found = await rows(db, sql`select username, display_name, roles, status from users where id = ${bystander.id}::uuid`);
      expect(found).toEqual([{ username: "bystander", display_name: "bystander", roles: ["user"], status: "active" }]);
    },
  ],
]);
