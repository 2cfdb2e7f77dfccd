/** `npm run keys`: makes, rotates, revokes and lists signing keys, for a secret store. Reads a ring, prints another; no store is touched. */

import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { generateKeyRing, KeyRingRefused, parseKeyRing, readStoredKeyRing, type StoredKeyRing } from "#src/features/sessions/key-ring";
import { listKeys, revokeKeys, rotateKeyRing, type ListedKey, type Rotated } from "#src/features/sessions/key-rotation";
import { LEAD_SECONDS } from "#src/features/sessions/key-states";
import { systemClock } from "#src/kernel/clock";

const USAGE = `usage: keys new
       keys rotate [--refresh] [--in FILE]
       keys revoke --now [--refresh] [--in FILE]
       keys list [--in FILE]

The ring, which is the content of the secret \`signing-keys\`, is read from FILE or standard input; a new one (JSON, one line) goes to
standard output, which must be another file: the shell empties that first. Nothing else is written or changed.

  new      a new ring
  rotate   the ring with a new key for access tokens, which signs in ${LEAD_SECONDS / 60} minutes, when everybody knows it. What has ended is left out.
           Adds none while one is waiting to sign: it may be run again.
  revoke   for keys that others may have: a ring with a new key for access tokens only. Every access token there is ends with it.
           --now says that you mean it.
  list     the keys, and what each does now; nothing that is secret

  --refresh  also for refresh tokens and links in mails. With rotate those of before are accepted for 180 days more;
             with revoke they end too, and everybody must sign in again
`;

/** As in sysexits.h. */
const EXIT = { usage: 64, damaged: 65, noInput: 66 } as const;

/** Ends the command with one line. */
class Refusal extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

interface Asked {
  readonly command: string;
  readonly refresh: boolean;
  readonly now: boolean;
  readonly file: string | undefined;
}

try {
  process.stdout.write(await run(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  process.stderr.write(`keys: ${error.message}\n`);
  process.exitCode = error.exitCode;
}

async function run(args: readonly string[]): Promise<string> {
  if (args.some((one) => one === "--help" || one === "-h" || one === "help")) return USAGE;
  const asked = parse(args);
  const now = systemClock.now();
  switch (asked.command) {
    case "new":
      return `${generateKeyRing(now)}\n`;
    case "rotate": {
      const { ring, access, refresh } = rotateKeyRing(await readRing(asked), { now, refresh: asked.refresh });
      process.stderr.write(`keys: ${toldOf("access tokens", access)}${asked.refresh ? `; ${toldOf("refresh tokens", refresh)}` : ""}\n`);
      return `${JSON.stringify(ring)}\n`;
    }
    case "revoke":
      if (!asked.now) throw new Refusal(EXIT.usage, "revoke ends every access token there is: say --now if you mean it");
      return `${JSON.stringify(revokeKeys(await readRing(asked), { now, refresh: asked.refresh }))}\n`;
    case "list":
      return table(listKeys(await readRing(asked), now));
    default:
      throw new Refusal(EXIT.usage, `there is no command ${JSON.stringify(asked.command)}: new, rotate, revoke or list; --help tells more`);
  }
}

function parse(args: readonly string[]): Asked {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { refresh: { type: "boolean" }, now: { type: "boolean" }, in: { type: "string" } },
    });
    const [command, ...rest] = positionals;
    if (command === undefined || rest.length > 0)
      throw new Refusal(EXIT.usage, "one command is wanted: new, rotate, revoke or list; --help tells more");
    return { command, refresh: values.refresh === true, now: values.now === true, file: values.in };
  } catch (error) {
    if (error instanceof Refusal || !(error instanceof TypeError)) throw error;
    throw new Refusal(EXIT.usage, `${error.message.split(/[.\n]/, 1)[0] ?? ""}; --help tells more`);
  }
}

/** Keys are looked into as well: what a process would refuse is not made the base of another ring. */
async function readRing({ file }: Asked): Promise<StoredKeyRing> {
  const place = file ?? "standard input";
  if (file === undefined && process.stdin.isTTY) throw new Refusal(EXIT.usage, "a ring is wanted: --in FILE, or on standard input");
  const content = await (file === undefined ? text(process.stdin) : readFile(file, "utf8")).catch((error: NodeJS.ErrnoException) => {
    throw new Refusal(EXIT.noInput, `${place}: cannot be read (${error.code ?? error.message})`);
  });
  try {
    parseKeyRing(content);
    return readStoredKeyRing(content);
  } catch (error) {
    if (!(error instanceof KeyRingRefused)) throw error;
    throw new Refusal(EXIT.damaged, `${place}: ${error.message}`);
  }
}

function toldOf(tokens: string, rotated: Rotated): string {
  if (rotated !== "added") return `no key added for ${tokens}: ${rotated}`;
  return `a key added for ${tokens}, which signs in ${LEAD_SECONDS / 60} minutes`;
}

function table(keys: readonly ListedKey[]): string {
  const cells = [["KID", "KIND", "CREATED", "STATE"], ...keys.map(rowOf)];
  const widths = [0, 1, 2].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells.map((row) => `${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}\n`).join("");
}

function rowOf({ kid, kind, createdAt, state, until }: ListedKey): string[] {
  const till = { published: "signs from", signing: "until", retired: "accepted until", ended: "" }[state];
  return [
    kid,
    kind,
    createdAt === undefined ? "unknown" : toSeconds(createdAt),
    until === undefined ? state : `${state}, ${till} ${toSeconds(until)}`,
  ];
}

/** ISO, to the second. */
function toSeconds(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}
