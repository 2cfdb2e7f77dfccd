/** `npm run keys`: what it prints, and how it ends on what it cannot use. */

import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { generateKeyRing, parseKeyRing, readStoredKeyRing } from "#src/features/sessions/key-ring";
import { startService } from "../kit/process.ts";
import { runFolder } from "../kit/run-folder.ts";

const ENTRY = fileURLToPath(new URL("../../src/main/keys.ts", import.meta.url));

/** What it said on both streams, a line each, and its exit code. Standard input is empty. */
async function keys(...args: string[]): Promise<{ readonly lines: string[]; readonly code: number | null }> {
  await using program = await startService({ entry: ENTRY, args });
  const { code } = await program.exited;
  return { lines: program.output.trimEnd().split("\n"), code };
}

async function fileOf(text: string): Promise<string> {
  const path = join(await mkdtemp(join(runFolder(), "ring-")), "ring.json");
  await writeFile(path, text, { mode: 0o600 });
  return path;
}

const jsonLine = (lines: readonly string[]): string => lines.find((line) => line.startsWith("{")) ?? "";

describe("npm run keys", () => {
  it("makes, rotates and revokes rings that processes take", async () => {
    const made = await keys("new");
    const first = parseKeyRing(jsonLine(made.lines));
    const rotated = await keys("rotate", "--refresh", "--in", await fileOf(jsonLine(made.lines)));
    const next = parseKeyRing(jsonLine(rotated.lines));
    expect([made.code, rotated.code]).toEqual([0, 0]);
    expect(next.accessKeys.map(({ kid }) => kid)).toEqual([expect.any(String), first.accessKeys[0].kid]);
    expect(next.refreshKeys.map(({ kid }) => kid)).toEqual([expect.any(String), first.refreshKeys[0].kid]);
    const file = await fileOf(jsonLine(rotated.lines));
    expect((await keys("rotate", "--in", file)).lines).toContain("keys: no key added for access tokens: one is waiting already");

    const revoked = parseKeyRing(jsonLine((await keys("revoke", "--now", "--in", file)).lines));
    expect(revoked.accessKeys.map(({ kid }) => next.accessKeys.some((old) => old.kid === kid))).toEqual([false]);
    expect(revoked.refreshKeys.map(({ kid }) => kid)).toEqual(next.refreshKeys.map(({ kid }) => kid));
    const both = parseKeyRing(jsonLine((await keys("revoke", "--now", "--refresh", "--in", file)).lines));
    expect(both.refreshKeys.map(({ kid }) => next.refreshKeys.some((old) => old.kid === kid))).toEqual([false]);
  });

  it("lists kid, kind, time and state, and nothing secret", async () => {
    const text = generateKeyRing(new Date("2026-11-27T12:00:00.000Z"));
    const { accessKeys, refreshKeys, sealingKeys = [] } = readStoredKeyRing(text);
    const { lines, code } = await keys("list", "--in", await fileOf(text));
    expect(code).toBe(0);
    expect(lines.map((line) => line.split(/ {2,}/))).toEqual([
      ["KID", "KIND", "CREATED", "STATE"],
      [accessKeys[0].kid, "access", "2026-11-27T12:00:00Z", "signing"],
      [refreshKeys[0].kid, "refresh", "2026-11-27T12:00:00Z", "signing"],
      [sealingKeys[0]?.kid, "sealing", "2026-11-27T12:00:00Z", "signing"],
    ]);
  });

  it("ends with one line that says what is wrong and where", async () => {
    const ring = generateKeyRing();
    const cut = await fileOf(ring.slice(0, 50));
    const wrong = await fileOf(JSON.stringify({ ...readStoredKeyRing(ring), refreshKeys: [{ kid: "a", secret: "c2hvcnQ=" }] }));
    const good = await fileOf(ring);
    const refused: [string[], number, RegExp][] = [
      [["rotate", "--in", cut], 65, /^keys: \S+ring\.json: it is not JSON/],
      [["list", "--in", wrong], 65, /^keys: \S+ring\.json: refreshKeys\[0\]\.secret: shorter than 32 bytes$/],
      [["rotate"], 65, /^keys: standard input: it is empty$/],
      [["rotate", "--in", `${good}.none`], 66, /^keys: \S+none: cannot be read \(ENOENT\)$/],
      [["revoke", "--in", good], 64, /^keys: .*--now/],
      [["rotat"], 64, /^keys: there is no command "rotat"/],
      [["list", "--all"], 64, /^keys: Unknown option '--all'/],
      [[], 64, /^keys: one command is wanted/],
    ];
    for (const [args, code, line] of refused) {
      const ended = await keys(...args);
      expect({ args, code: ended.code, lines: ended.lines }).toEqual({ args, code, lines: [expect.stringMatching(line)] });
    }
    const help = await keys("--help");
    expect([help.code, help.lines[0]]).toEqual([0, "usage: keys new"]);
  });
});
