import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import type { RunningProgram } from "../kit/process.ts";
import { startProgram } from "../kit/process.ts";
import { isAlive, runFolder } from "../kit/run-folder.ts";
import { until } from "../kit/until.ts";

const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));
const FILES = ["scripts/start.js", "scripts/node24.js", "scripts/install.js", "scripts/install-lock.js", "src/main/leave-with-parent.ts"];

/** Stands in for the service: says who it is, ends as it is told. */
const STANDALONE = `
import { leaveWithParent } from "./leave-with-parent.ts";
process.on("SIGTERM", () => { console.log("stopping"); process.exit(7); });
leaveWithParent(() => { console.log("left alone"); process.exit(8); });
setInterval(() => {}, 1000);
console.log("running as", process.pid, "with", process.argv.slice(2).join(" "));
`;

/** Stands in for npm: "installs" the Node that runs the test, or does what FAKE_NPM says. */
const NPM = `
import { appendFileSync, existsSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
appendFileSync("npm.log", process.argv[2] + "\\n");
if (process.argv[2] === "ci") rmSync("node_modules", { recursive: true, force: true });
if (process.env.FAKE_NPM === "offline") { console.error("npm error code ENOTFOUND\\nnpm error network request failed"); process.exit(1); }
while (process.env.FAKE_NPM === "gate" && !existsSync("gate")) await new Promise((resolve) => setTimeout(resolve, 10));
mkdirSync("node_modules/node/bin", { recursive: true });
if (process.env.FAKE_NPM !== "no scripts" || process.argv[2] === "rebuild") symlinkSync(process.execPath, "node_modules/node/bin/node");
`;

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(runFolder(), "start-"));
  await Promise.all(["scripts", "src/main"].map((folder) => mkdir(join(root, folder), { recursive: true })));
  await Promise.all(FILES.map((file) => cp(join(REPOSITORY, file), join(root, file))));
  await writeFile(join(root, "src/main/standalone.ts"), STANDALONE);
  await writeFile(join(root, "package.json"), `{"type": "module"}`);
  await writeFile(join(root, "npm.js"), NPM);
  await writeLock("first");
});
afterEach(() => rm(root, { recursive: true }));

const writeLock = (version: string): Promise<void> =>
  writeFile(join(root, "package-lock.json"), JSON.stringify({ packages: { "": { version }, "node_modules/node": {} } }));

interface StartOptions {
  readonly npm?: "offline" | "gate" | "no scripts";
  /** JavaScript that runs before the script. */
  readonly first?: string;
}

/** What Node 20 lacks: there the script keeps running, with the service as its child. */
const WITHOUT_EXECVE = "process.execve = undefined";

const start = ({ npm, first = "" }: StartOptions = {}): Promise<RunningProgram> =>
  startProgram({
    command: process.execPath,
    args: ["--import", `data:text/javascript,${first}`, join(root, "scripts/start.js"), "one", "two"],
    cwd: root,
    env: { npm_execpath: join(root, "npm.js"), ...(npm === undefined ? {} : { FAKE_NPM: npm }) },
  });

async function pidOf(program: RunningProgram): Promise<number> {
  return Number((await program.line(/running as (\d+) with one two/))[1]);
}

const npmRuns = async (): Promise<readonly string[]> =>
  (await readFile(join(root, "npm.log"), "utf8").catch(() => "")).trim().split("\n").filter(Boolean);

describe("npm start, installing", () => {
  it("installs in a fresh clone and says so, and does not the next time", async () => {
    {
      await using first = await start();
      await pidOf(first);
      expect(first.output).toMatch(/Installing 1 packages .*\nInstalled in \d+ s\.\n/);
    }
    await using second = await start();
    await pidOf(second);
    expect(second.output).not.toContain("nstall");
    expect(await npmRuns()).toEqual(["ci"]);
  });

  it("installs again when package-lock.json has changed, not when it was only touched", async () => {
    const startAndStop = async (): Promise<void> => {
      await using program = await start();
      await pidOf(program);
    };
    await startAndStop();
    await writeLock("first");
    await startAndStop();
    expect(await npmRuns()).toEqual(["ci"]);
    await writeLock("second");
    await startAndStop();
    expect(await npmRuns()).toEqual(["ci", "ci"]);
  });

  it("installs once when two start at once", async () => {
    await using first = await start({ npm: "gate" });
    await first.line(/Installing/);
    await using second = await start({ npm: "gate" });
    await second.line(/Another start is installing/);
    await writeFile(join(root, "gate"), "");
    await Promise.all([pidOf(first), pidOf(second)]);
    expect(await npmRuns()).toEqual(["ci"]);
  });

  it("takes over an install that was killed", async () => {
    await using killed = await start({ npm: "gate" });
    await killed.line(/Installing/);
    killed.signal("SIGKILL");
    await writeFile(join(root, "gate"), "");
    await killed.exited;
    await rm(join(root, "node_modules"), { recursive: true, force: true });
    await using next = await start();
    await pidOf(next);
  });

  it("stops installing when it is interrupted, and starts nothing", async () => {
    await using program = await start({ npm: "gate" });
    await until(async () => (await npmRuns()).length === 1);
    expect(await program.stop("SIGINT")).toEqual({ code: 1, signal: null });
    expect(program.output).not.toContain("running");
  });

  it("says what to do when there is no network", async () => {
    await using program = await start({ npm: "offline" });
    expect(await program.exited).toEqual({ code: 1, signal: null });
    expect(program.output).toContain("npm could not reach the package registry. Connect to the network");
    expect(program.output).toContain("Nothing is installed yet");
  });

  it("goes on with what it has when there is no network for a newer package-lock.json", async () => {
    await using before = await start();
    await pidOf(before);
    await writeLock("second");
    await using program = await start({ npm: "offline" });
    await pidOf(program);
    expect(program.output).toContain("Going on with the packages of the last install");
  });

  it("gets its Node also where install scripts are switched off", async () => {
    await using program = await start({ npm: "no scripts" });
    await pidOf(program);
    expect(await npmRuns()).toEqual(["ci", "rebuild"]);
  });

  it("says which Node it needs", async () => {
    const first = "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.20.0' } })";
    await using program = await start({ first });
    expect(await program.exited).toEqual({ code: 1, signal: null });
    expect(program.output).toContain("needs Node 20 or later");
    expect(await npmRuns()).toEqual([]);
  });
});

describe("npm start, running", () => {
  it("becomes the service where Node can do that", async () => {
    await using program = await start();
    expect(await pidOf(program)).toBe(program.pid);
    expect(await program.stop()).toEqual({ code: 7, signal: null });
  });

  it("passes signals and the exit code on where the service is its child", async () => {
    await using program = await start({ first: WITHOUT_EXECVE });
    const pid = await pidOf(program);
    expect(pid).not.toBe(program.pid);
    expect(await program.stop()).toEqual({ code: 7, signal: null });
    expect(isAlive(pid)).toBe(false);
    expect(program.output).toContain("stopping");
  });

  it("takes its child along when it is killed", async () => {
    await using program = await start({ first: WITHOUT_EXECVE });
    const pid = await pidOf(program);
    program.signal("SIGKILL");
    await until(() => !isAlive(pid), { what: "the service to leave" });
    await program.exited;
    expect(program.output).toContain("left alone");
  });

  it.each([["becomes the service", ""] as const, ["is its parent", WITHOUT_EXECVE] as const])(
    "leaves when the npm that ran it is killed, where the script %s",
    async (_, first) => {
      const script = `
        const args = ["--import", "data:text/javascript,${first}", "scripts/start.js", "one", "two"];
        require("node:child_process").spawn(process.execPath, args, { stdio: "inherit", env: { ...process.env, npm_lifecycle_event: "start" } });`;
      const env = { npm_execpath: join(root, "npm.js") };
      await using npm = await startProgram({ command: process.execPath, args: ["--eval", script], cwd: root, env, ownGroup: true });
      const pid = await pidOf(npm);
      npm.signalLeader("SIGKILL");
      await until(() => !isAlive(pid), { what: "the service to leave" });
    },
  );
});
