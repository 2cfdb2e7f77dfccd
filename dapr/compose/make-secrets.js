/**
 * Writes the file of Dapr's secret store for compose, unless it is there: signing keys stay what they are over restarts.
 * `node make-secrets.js FILE KEYS_ENTRY` with BROKER_URL, REDIS_HOST and REDIS_PASSWORD; KEYS_ENTRY is the program that makes keys.
 */

import { execFileSync } from "node:child_process";
import { existsSync, renameSync, writeFileSync } from "node:fs";

const [file, keysEntry] = process.argv.slice(2);
const { BROKER_URL, REDIS_HOST, REDIS_PASSWORD } = process.env;

if (file === undefined || keysEntry === undefined || !BROKER_URL || !REDIS_HOST || REDIS_PASSWORD === undefined) {
  process.stderr.write("make-secrets.js FILE KEYS_ENTRY, with BROKER_URL, REDIS_HOST and REDIS_PASSWORD\n");
  process.exitCode = 78;
} else if (existsSync(file)) {
  process.stdout.write(`${file} is there already\n`);
} else {
  const signingKeys = execFileSync(process.execPath, [...process.execArgv, keysEntry, "new"], { encoding: "utf8" }).trim();
  const secrets = {
    "signing-keys": signingKeys,
    "user-service-broker": { url: BROKER_URL },
    "user-service-redis": { host: REDIS_HOST, password: REDIS_PASSWORD },
  };
  // Whole or not at all, and readable for daprd, which runs as another user; the volume is mounted nowhere else.
  writeFileSync(`${file}.new`, JSON.stringify(secrets), { mode: 0o444 });
  renameSync(`${file}.new`, file);
  process.stdout.write(`${file} is written\n`);
}
