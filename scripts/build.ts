/**
 * `npm run build`: JavaScript in dist/, for `node --conditions=built dist/main/api.js`. Types are blanked out and imports named anew;
 * whether they fit is for `npm run check` to say. Nothing moves, so a line of dist/ is that line of src/. What is for one machine only is
 * left out: its processes load it by name, and refuse to in production anyway. Needs Node and nothing installed.
 */

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Not in the image: the embedded PostgreSQL, the in-process sidecar, the development mailbox. */
const FOR_ONE_MACHINE = [
  "embedded/",
  "sidecar/local/",
  ...["main/standalone", "main/own-keys", "mail/mailbox", "mail/mailbox.sql", "mail/mailbox-page"].map((file) => `${file}.ts`),
];
/** Of `from "./x.ts"`, `import "./x.ts"` and `import("./x.ts")`. */
const RELATIVE_IMPORT = /(\b(?:from|import)\s*\(?\s*"\.{1,2}\/[^"\n]+)\.ts"/g;

rmSync(join(root, "dist"), { recursive: true, force: true });
for (const file of readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })) {
  if (!file.endsWith(".ts") || file.endsWith(".test.ts") || FOR_ONE_MACHINE.some((path) => file.startsWith(path))) continue;
  const script = stripTypeScriptTypes(readFileSync(join(root, "src", file), "utf8")).replaceAll(RELATIVE_IMPORT, '$1.js"');
  const target = join(root, "dist", file.replace(/ts$/, "js"));
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, script);
}
