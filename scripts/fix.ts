/** `npm run fix`: formats, and mends what the linter can mend. */

import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folders = ["src", "test", "scripts", "migrations", "bench"];
const run = (name: string, args: readonly string[]): number | null =>
  spawnSync(join(root, "node_modules", ".bin", name), args, { cwd: root, stdio: "inherit" }).status;

const linted = run("oxlint", ["--type-aware", "--fix", ...folders]);
const formatted = run("oxfmt", ["--write", ...folders]);
process.exitCode = linted === 0 && formatted === 0 ? 0 : 1;
