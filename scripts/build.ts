/**
 * `npm run build`: JavaScript in dist/, for `node --conditions=built dist/main/api.js`. What is for one machine only is left out:
 * its processes load it by name, and refuse to in production anyway.
 */

import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Not in the image: the embedded PostgreSQL, the in-process sidecar, the development mailbox. Files with their maps. */
const FOR_ONE_MACHINE = [
  "embedded",
  "sidecar/local",
  ...["main/standalone", "main/own-keys", "mail/mailbox", "mail/mailbox.sql", "mail/mailbox-page"].flatMap((file) => [
    `${file}.js`,
    `${file}.js.map`,
  ]),
];
rmSync(join(root, "dist"), { recursive: true, force: true });
const { status } = spawnSync(join(root, "node_modules", ".bin", "tsc"), ["-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" });
for (const path of FOR_ONE_MACHINE) rmSync(join(root, "dist", path), { recursive: true });
process.exitCode = status ?? 1;
