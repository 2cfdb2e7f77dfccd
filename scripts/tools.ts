/**
 * `npm run tools`: gets the programs that tests want (tools.json) and says where each one is. `-- --build` builds from source what no
 * release can be had of; that takes up to half an hour for all. Names choose: `npm run tools -- --build etcd`.
 */

import { systemClock } from "#src/kernel/clock";
import { findPinned, findProgram } from "./tools/find.ts";
import { getTools } from "./tools/get.ts";
import { readTools } from "./tools/pins.ts";

const names = process.argv.slice(2).filter((argument) => !argument.startsWith("-"));
const isWanted = ([name]: readonly [string, unknown]): boolean => names.length === 0 || names.includes(name);
const all = readTools();
const tools = {
  pinned: Object.fromEntries(Object.entries(all.pinned).filter(isWanted)),
  debian: Object.fromEntries(Object.entries(all.debian).filter(isWanted)),
};
const gone = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => {
    gone.abort(new Error("interrupted"));
    process.exitCode = 1;
  });
}
const lacking = await getTools(tools, {
  clock: systemClock,
  env: process.env,
  say: (line) => console.log(line),
  signal: gone.signal,
  mayBuild: process.argv.includes("--build"),
  again: true,
});
for (const pin of Object.values(tools.pinned)) report(pin.name, findPinned(pin).path);
for (const name of Object.keys(tools.debian)) report(name, findProgram(name));
if (lacking.length > 0) process.exitCode = 1;

function report(name: string, path: string | undefined): void {
  console.log(`${name.padEnd(16)} ${path ?? "missing: see above"}`);
}
