import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { startProgram } from "../../test/kit/process.ts";
import { LockHeld, withFileLock } from "./file-lock.ts";

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "file-lock-"));
  path = join(folder, "lock");
});
afterEach(() => rm(folder, { recursive: true }));

describe("a file lock", () => {
  it("lets one in at a time", async () => {
    let inside = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      inside += 1;
      most = Math.max(most, inside);
      await new Promise(setImmediate);
      inside -= 1;
    };
    await Promise.all(Array.from({ length: 8 }, () => withFileLock(path, { patienceMs: 10_000 }, work)));
    expect(most).toBe(1);
  });

  it("gives up after the caller's patience", async () => {
    await withFileLock(path, { patienceMs: 0 }, async () => {
      await expect(withFileLock(path, { patienceMs: 30 }, () => Promise.resolve())).rejects.toThrow(LockHeld);
    });
  });

  it("stops waiting when told to", async () => {
    await withFileLock(path, { patienceMs: 0 }, async () => {
      const waiting = withFileLock(path, { patienceMs: 10_000, signal: AbortSignal.timeout(20) }, () => Promise.resolve());
      await expect(waiting).rejects.toThrow("timeout");
    });
  });

  it("is free again after a failure, and leaves nothing but the file", async () => {
    await expect(withFileLock(path, { patienceMs: 0 }, () => Promise.reject(new Error("work failed")))).rejects.toThrow("work failed");
    await expect(withFileLock(path, { patienceMs: 0 }, () => Promise.resolve("in"))).resolves.toBe("in");
    expect(await readdir(folder)).toEqual(["lock"]);
  });

  it("keeps other processes out, and is free at once when its holder is killed", async () => {
    const module = new URL("./file-lock.ts", import.meta.url).href;
    const script = `
      const { withFileLock } = await import(${JSON.stringify(module)});
      await withFileLock(${JSON.stringify(path)}, { patienceMs: 0 }, () => new Promise((resolve) => { console.log("held"); setInterval(() => {}, 1000); }));`;
    await using holder = await startProgram({ command: process.execPath, args: ["--input-type=module", "--eval", script] });
    await holder.line(/held/);
    await expect(withFileLock(path, { patienceMs: 30 }, () => Promise.resolve())).rejects.toThrow(LockHeld);
    holder.signal("SIGKILL");
    await expect(withFileLock(path, { patienceMs: 5_000 }, () => Promise.resolve("in"))).resolves.toBe("in");
    expect(await readdir(folder)).toEqual(["lock"]);
  });
});
