/** `npm run keys -- new`: prints a new ring of signing keys, for the secret store. Nothing is written or changed. */

import { generateKeyRing } from "#src/features/sessions/key-ring";

const USAGE = "usage: keys new\n  new   prints a new ring of signing keys (JSON, one line): the content of the secret `signing-keys`\n";

const [command, ...rest] = process.argv.slice(2);
if (command === "new" && rest.length === 0) {
  process.stdout.write(`${generateKeyRing()}\n`);
} else {
  process.stderr.write(USAGE);
  process.exitCode = 64;
}
