/** `npm run migrate:new -- graph-add-circles`: an empty migration with its name and header. */

import { existsSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [, , name] = process.argv;
if (name === undefined || !/^[a-z0-9]+(-[a-z0-9]+)+$/.test(name)) {
  console.error("Name it <feature>-<what it does>, in lowercase with hyphens: npm run migrate:new -- graph-add-circles");
  process.exit(1);
}
const stamp = new Date().toISOString().replace(/[-:]/g, "").replace("T", "_").slice(0, 13);
const file = join(root, "migrations", `${stamp}_${name}.ts`);
if (existsSync(file)) throw new Error(`${file} is there already`);
writeFileSync(
  file,
  `/** Phase: expand | migrate | contract. Locks: which, on what. Safe with the old version because: … */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(\`
    set local lock_timeout = '2s';
  \`);
}
`,
);
console.log(file);
