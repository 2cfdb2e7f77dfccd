import { readFile, readdir, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { generateKeyRing, readStoredKeyRing, type StoredKeyRing } from "#src/features/sessions/key-ring";
import { systemClock } from "#src/kernel/clock";
import { emptyDataDir } from "../../test/kit/service.ts";
import { ensureSigningKeys, rotateWhenOld } from "./own-keys.ts";

const DAY_MS = 24 * 60 * 60_000;
const clock = systemClock;

async function stored(dataDir: string): Promise<StoredKeyRing> {
  return readStoredKeyRing(await readFile(join(dataDir, "secrets", "signing-keys"), "utf8"));
}

/** A folder whose keys were made so long ago. */
async function withKeysOf(daysAgo: number, change: (ring: StoredKeyRing) => object = (ring) => ring): Promise<string> {
  const dataDir = await emptyDataDir();
  await ensureSigningKeys(dataDir);
  const ring = readStoredKeyRing(generateKeyRing(new Date(clock.now().getTime() - daysAgo * DAY_MS)));
  await writeFile(join(dataDir, "secrets", "signing-keys"), JSON.stringify(change(ring)));
  return dataDir;
}

describe("the keys of one machine", () => {
  it("are made once by several at once", async () => {
    const dataDir = await emptyDataDir();
    await ensureSigningKeys(dataDir);
    const before = await stored(dataDir);
    await ensureSigningKeys(dataDir);
    expect(await stored(dataDir)).toEqual(before);
    expect(await readdir(join(dataDir, "secrets"))).toEqual(["signing-keys"]);
  });

  it("are rotated when they are old: once, whoever else looks at the same moment, and for their owner's eyes only", async () => {
    const dataDir = await withKeysOf(30);
    const [before] = (await stored(dataDir)).accessKeys;
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => rotateWhenOld({ dataDir, days: 30, clock })));
    expect(outcomes.filter(Boolean)).toHaveLength(1);
    expect((await stored(dataDir)).accessKeys.map(({ kid }) => kid)).toEqual([expect.any(String), before.kid]);
    expect(await rotateWhenOld({ dataDir, days: 30, clock })).toBe(false);
    expect((await stat(join(dataDir, "secrets", "signing-keys"))).mode & 0o777).toBe(0o600);
  });

  it("are left alone until then", async () => {
    const dataDir = await withKeysOf(29.9);
    expect(await rotateWhenOld({ dataDir, days: 30, clock })).toBe(false);
    expect((await stored(dataDir)).accessKeys).toHaveLength(1);
  });

  it("from before there was rotation are as old as their file", async () => {
    const bare = ({ accessKeys: [{ kid, pkcs8 }], refreshKeys: [one] }: StoredKeyRing): object => ({
      accessKeys: [{ kid, pkcs8 }],
      refreshKeys: [{ kid: one.kid, secret: one.secret }],
    });
    const dataDir = await withKeysOf(0, bare);
    expect(await rotateWhenOld({ dataDir, days: 30, clock })).toBe(false);
    const long = new Date(clock.now().getTime() - 31 * DAY_MS);
    await utimes(join(dataDir, "secrets", "signing-keys"), long, long);
    expect(await rotateWhenOld({ dataDir, days: 30, clock })).toBe(true);
  });
});
