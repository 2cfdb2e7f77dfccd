import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { systemClock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { readLocalSecret } from "#src/sidecar/local/local-secrets";
import { runFolder } from "../../../test/kit/run-folder.ts";
import { until } from "../../../test/kit/until.ts";
import { generateKeyRing, parseKeyRing } from "./key-ring.ts";
import type { KeyRingSource } from "./key-ring-source.ts";
import { KeyRingWatch } from "./key-watch.ts";

const never = new AbortController().signal;
let folder: string;
let lines: string[];
let watch: KeyRingWatch;
let reads: number;

beforeEach(async () => {
  folder = join(await mkdtemp(join(runFolder(), "keys-")), "secrets");
  await mkdir(folder, { mode: 0o700 });
  lines = [];
  reads = 0;
  const line =
    (level: string) =>
    (fields: object, message: string): void =>
      void lines.push(`${level}: ${message} ${JSON.stringify(fields)}`);
  const log: Log = { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };
  const read: ConstructorParameters<typeof KeyRingWatch>[0]["read"] = async () => {
    reads += 1;
    return await readLocalSecret({ environment: {}, folder }, "signing-keys");
  };
  watch = new KeyRingWatch({ read, place: "the place", rereadMs: 10, clock: systemClock, log });
});
afterEach(async () => {
  await watch.stop();
  await rm(folder, { recursive: true });
});

async function store(text: string): Promise<void> {
  await writeFile(join(folder, "draft"), text, { mode: 0o600 });
  await rename(join(folder, "draft"), join(folder, "signing-keys"));
}

/** Whoever began to read before has come to an end too. */
async function someReads(): Promise<void> {
  const before = reads;
  await until(() => reads > before + 3);
}

const kidOf = (text: string): string => parseKeyRing(text).accessKeys[0].kid;
const signs = (source: KeyRingSource): string => source.current().accessSigner.kid;

describe("the keys of a running process", () => {
  it("follow a changed ring", async () => {
    const [first, second] = [generateKeyRing(), generateKeyRing()];
    await store(first);
    const source = await watch.open(never);
    expect(signs(source)).toBe(kidOf(first));
    await store(second);
    await until(() => signs(source) === kidOf(second));
    await someReads();
    expect(lines).toEqual([expect.stringMatching(/^info: the signing keys were changed/)]);
    expect(watch.trouble()).toBeUndefined();
    expect(watch.ageSeconds()).toBeLessThan(60);
  });

  it("stay when what is stored is damaged, empty or gone; each is told once, and what is right again is taken", async () => {
    const [first, second] = [generateKeyRing(), generateKeyRing()];
    await store(first);
    const source = await watch.open(never);
    const refusals: [() => Promise<void>, string][] = [
      [() => store(`${second.slice(0, 80)}"hidden"`), "it is not JSON"],
      [() => store(""), "it is empty"],
      [() => store(`{"accessKeys":[],"refreshKeys":[]}`), "accessKeys"],
      [() => rm(join(folder, "signing-keys")), "there are no signing keys: put them in the place"],
    ];
    for (const [damage, why] of refusals) {
      lines.length = 0;
      await damage();
      await until(() => watch.trouble()?.summary.includes(why));
      await someReads();
      expect(lines).toEqual([expect.stringMatching(/^error: the stored signing keys are refused; those of before stay/)]);
      expect(lines[0]).not.toContain("hidden");
      expect(signs(source)).toBe(kidOf(first));
    }
    await store(second);
    await until(() => signs(source) === kidOf(second));
    expect(watch.trouble()).toBeUndefined();
  });

  it("stay when they cannot be read, which is told once until they can", async () => {
    const [first, second] = [generateKeyRing(), generateKeyRing()];
    await store(first);
    const source = await watch.open(never);
    await chmod(join(folder, "signing-keys"), 0o644);
    await until(() => watch.trouble()?.summary === "the signing keys cannot be read");
    await someReads();
    expect(lines).toEqual([expect.stringMatching(/^warn: the signing keys cannot be read/)]);
    expect(signs(source)).toBe(kidOf(first));
    await store(second);
    await until(() => signs(source) === kidOf(second));
    expect(watch.trouble()).toBeUndefined();
  });

  it("are not there before they could be read once: none, damaged, then right", async () => {
    await expect(watch.open(never)).rejects.toThrow("there are no signing keys: put them in the place");
    await store("{}");
    await expect(watch.open(never)).rejects.toThrow("accessKeys: expected a list");
    await store(generateKeyRing());
    const [one, other] = await Promise.all([watch.open(never), watch.open(never)]);
    expect(one).toBe(other);
  });

  it("are not read any more after the end", async () => {
    await store(generateKeyRing());
    await watch.open(never);
    await someReads();
    await watch.stop();
    const ended = reads;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(reads).toBe(ended);
  });
});
