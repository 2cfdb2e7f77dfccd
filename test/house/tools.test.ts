/** The programs that tests want: found in their order, fetched only as they were published, and a failure does not cost twice. */

import { createHash } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, readdir, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { findPinned, type Environment } from "../../scripts/tools/find.ts";
import { getTools, type Lacking } from "../../scripts/tools/get.ts";
import { readTools, type Pin } from "../../scripts/tools/pins.ts";
import { runProgram } from "../../scripts/tools/run-program.ts";
import { whyMissing } from "../../scripts/tools/why-missing.ts";
import { startProgram } from "../kit/process.ts";
import { runFolder } from "../kit/run-folder.ts";

const GET = join(import.meta.dirname, "..", "..", "scripts", "tools", "get.ts");
const NOON = new Date("2026-12-01T12:00:00Z");
const HOUR_MS = 3_600_000;
const signal = new AbortController().signal;

describe("tools.json", () => {
  it("has each program in one version, by its address and by its module", () => {
    const { pinned } = readTools();
    expect(Object.keys(pinned)).toEqual(expect.arrayContaining(["daprd", "kube-apiserver", "etcd", "helm", "kubectl"]));
    for (const { version, release, build } of Object.values(pinned)) {
      expect(release.file).toContain(`v${version}`);
      expect(release.checksums).toContain(`v${version}`);
      expect(build.version).toBe(`v${version}`);
      expect([build.sum, build.modSum]).toEqual([expect.stringMatching(/^h1:.{43}=$/), expect.stringMatching(/^h1:.{43}=$/)]);
    }
  });
});

describe("finding a tool", () => {
  it("takes TOOLS_DIR before PATH before the cache", async () => {
    const machine = await emptyMachine();
    const pin = pinOf("http://127.0.0.1:9");
    expect(findPinned(pin, machine.env)).toMatchObject({ path: undefined });
    const cached = await machine.put(join("cache", "user-service-tools", "tool-1.2.3"), "1.2.3");
    expect(findPinned(pin, machine.env).path).toBe(cached);
    const onPath = await machine.put("path", "1.2.9");
    expect(findPinned(pin, machine.env).path).toBe(onPath);
    const given = await machine.put("given", "0.0.1");
    expect(findPinned(pin, { ...machine.env, TOOLS_DIR: join(machine.folder, "given") }).path).toBe(given);
  });

  it("leaves a program of another minor version alone and says so", async () => {
    const machine = await emptyMachine();
    const other = await machine.put("path", "1.3.3");
    await machine.put(join("cache", "user-service-tools"), "1.1.3");
    const why = whyMissing({ tools: toolsOf(pinOf("http://127.0.0.1:9")), clock: clockAt(0), env: machine.env }, "tool");
    expect(why).toContain(`${other} is 1.3.3, not 1.2.3`);
    expect(why).toMatch(/npm run tools gets it$/);
  });

  it("takes a program of the right version that lies in the cache under its plain name", async () => {
    const machine = await emptyMachine();
    const plain = await machine.put(join("cache", "user-service-tools"), "1.2.3");
    expect(findPinned(pinOf("http://127.0.0.1:9"), machine.env).path).toBe(plain);
  });
});

describe("getting a tool", () => {
  it("unpacks a release whose checksum is the published one, and fetches it once", async () => {
    await using site = await startSite();
    const machine = await emptyMachine();
    await site.publish(await archive({ "tool-1.2.3/tool": program("1.2.3"), "tool-1.2.3/README": "read me" }));
    expect(await get(site.pin, machine.env)).toEqual([]);
    expect(findPinned(site.pin, machine.env).path).toBe(join(machine.cache, "tool-1.2.3", "tool"));
    expect(await readdir(machine.cache)).toEqual(["tool-1.2.3"]);
    const { requests } = site;
    expect(await get(site.pin, machine.env)).toEqual([]);
    expect(site.requests).toBe(requests);
  });

  it("takes a release that is no archive, with a list of checksums", async () => {
    await using site = await startSite();
    const machine = await emptyMachine();
    const { member: _, ...release } = site.pin.release;
    const bytes = Buffer.from(program("1.2.3"));
    site.files.set("/tool.tar.gz", bytes);
    site.files.set("/sums", Buffer.from(`${"0".repeat(64)}  other\n${sha256(bytes)} *tool.tar.gz\n`));
    expect(await get({ ...site.pin, release }, machine.env)).toEqual([]);
    expect(findPinned(site.pin, machine.env).path).toBeDefined();
  });

  it.each(["another", "truncated", "cut", "unlisted", "not there"] as const)("refuses a download that is %s", async (fault) => {
    await using site = await startSite();
    const machine = await emptyMachine();
    const bytes = await archive({ "tool-1.2.3/tool": program("1.2.3") });
    await site.publish(bytes);
    if (fault === "another") site.files.set("/tool.tar.gz", await archive({ "tool-1.2.3/tool": `${program("1.2.3")}# changed\n` }));
    if (fault === "truncated") site.files.set("/tool.tar.gz", bytes.subarray(0, -10));
    if (fault === "cut") site.cuts = true;
    if (fault === "unlisted") site.files.set("/sums", Buffer.from(`${sha256(bytes)}  other.tar.gz\n`));
    if (fault === "not there") site.files.delete("/tool.tar.gz");
    const [lacking] = await get(site.pin, machine.env);
    const said = { another: /SHA-256/, truncated: /SHA-256/, cut: /download: /, unlisted: /no SHA-256 of/, "not there": /answers 404/ };
    expect(lacking?.reasons[0]).toMatch(said[fault]);
    expect(await readdir(machine.cache)).toEqual(["failed"]);
  });

  it("puts nothing of an archive anywhere but the one program", async () => {
    await using site = await startSite();
    const machine = await emptyMachine();
    await site.publish(await archive({ "tool-1.2.3/tool": program("1.2.3"), "../../evil": "evil", "/tmp/evil-of-tools-test": "evil" }));
    expect(await get(site.pin, machine.env)).toEqual([]);
    expect(await readdir(machine.folder, { recursive: true })).not.toEqual(expect.arrayContaining([expect.stringContaining("evil")]));
    expect(await readdir("/tmp")).not.toContain("evil-of-tools-test");
  });

  it("does not follow a link in place of the program, nor take another version for it", async () => {
    await using site = await startSite();
    const machine = await emptyMachine();
    await site.publish(await archive({ "tool-1.2.3/tool": { linkTo: "/bin/sh" } }));
    expect((await get(site.pin, machine.env))[0]?.reasons[0]).toMatch(/no program that runs here/);
    await site.publish(await archive({ "tool-1.2.3/tool": program("1.2.4") }));
    expect((await get(site.pin, machine.env, { again: true }))[0]?.reasons[0]).toMatch(/what came is 1\.2\.4, not 1\.2\.3/);
    expect(findPinned(site.pin, machine.env).path).toBeUndefined();
  });

  it("gives up a server that says nothing", async () => {
    await using site = await startSite();
    site.isSilent = true;
    const [lacking] = await get(site.pin, (await emptyMachine()).env, { patienceMs: 100 });
    expect(lacking?.reasons[0]).toMatch(/has said nothing for 100 ms/);
  });

  it("remembers a failure for a day, unless it is told to try again", async () => {
    await using site = await startSite();
    const { env } = await emptyMachine();
    const [first] = await get(site.pin, env);
    const { requests } = site;
    expect(await get(site.pin, env, { clock: clockAt(23 * HOUR_MS) })).toEqual([first]);
    expect(site.requests).toBe(requests);
    expect(whyMissing({ tools: toolsOf(site.pin), clock: clockAt(HOUR_MS), env }, "tool")).toMatch(/tried on 2026-12-01.*answers 404/);
    await get(site.pin, env, { again: true });
    expect(site.requests).toBeGreaterThan(requests);
    await site.publish(await archive({ "tool-1.2.3/tool": program("1.2.3") }));
    expect(await get(site.pin, env, { clock: clockAt(25 * HOUR_MS) })).toEqual([]);
  });

  it("builds only when it may, and says what that lacked", async () => {
    await using site = await startSite();
    const machine = await emptyMachine();
    expect((await get(site.pin, machine.env))[0]?.reasons[1]).toMatch(/not tried.*--build/);
    const [lacking] = await get(site.pin, machine.env, { again: true, mayBuild: true });
    expect(lacking?.reasons[1]).toBe("go build: go is not on PATH");
  });

  it("is not confused by other processes that get the same at the same time", async () => {
    await using site = await startSite();
    const machine = await emptyMachine();
    await site.publish(await archive({ "tool-1.2.3/tool": program("1.2.3") }));
    const script = `
      const { getTools } = await import(${JSON.stringify(GET)});
      const tools = { pinned: { tool: ${JSON.stringify(site.pin)} }, debian: {} };
      const clock = { now: () => new Date(), monotonicMs: () => performance.now() };
      const lacking = await getTools(tools, { clock, env: process.env, say: () => {}, signal: new AbortController().signal, mayBuild: false, again: false });
      process.exitCode = lacking.length;`;
    const args = ["--input-type=module", "-e", script];
    const programs = await Promise.all(
      [1, 2, 3].map(() => startProgram({ command: process.execPath, args, env: { XDG_CACHE_HOME: join(machine.folder, "cache") } })),
    );
    for (const one of programs)
      expect({ exit: await one.exited, output: one.output }).toEqual({ exit: { code: 0, signal: null }, output: "" });
    expect(await readdir(machine.cache)).toEqual(["tool-1.2.3"]);
    expect(await readFile(join(machine.cache, "tool-1.2.3", "tool"), "utf8")).toBe(program("1.2.3"));
  });
});

function program(version: string): string {
  return `#!/bin/sh\necho "tool v${version} (test)"\n`;
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function clockAt(laterMs: number) {
  return { now: () => new Date(NOON.getTime() + laterMs), monotonicMs: () => laterMs };
}

function toolsOf(pin: Pin) {
  return { pinned: { tool: pin }, debian: {} };
}

function get(pin: Pin, env: Environment, options: Partial<Parameters<typeof getTools>[1]> = {}): Promise<readonly Lacking[]> {
  const say = (): void => {};
  return getTools(toolsOf(pin), { clock: clockAt(0), env, say, signal, mayBuild: false, again: false, ...options });
}

function pinOf(address: string): Pin {
  const release = { file: `${address}/tool.tar.gz`, checksums: `${address}/sums`, member: "tool-1.2.3/tool", systems: ["linux", "darwin"] };
  const build = { module: "example.test/tool", version: "v1.2.3", sum: "h1:", modSum: "h1:", package: "example.test/tool" };
  return { name: "tool", version: "1.2.3", versionArguments: ["--version"], release, build };
}

/** A machine with a shell and tar, and nothing else. */
async function emptyMachine() {
  const folder = await mkdtemp(join(runFolder(), "tools-"));
  const path = join(folder, "path");
  await mkdir(path);
  for (const name of ["sh", "tar", "gzip"]) await symlink(join("/bin", name), join(path, name));
  const env: Environment = { PATH: path, XDG_CACHE_HOME: join(folder, "cache") };
  const put = async (place: string, version: string): Promise<string> => {
    await mkdir(join(folder, place), { recursive: true });
    await writeFile(join(folder, place, "tool"), program(version));
    await chmod(join(folder, place, "tool"), 0o755);
    return join(folder, place, "tool");
  };
  return { folder, cache: join(folder, "cache", "user-service-tools"), env, put };
}

/** A .tar.gz with whatever names it is told, also those that no archive should have. */
async function archive(members: Readonly<Record<string, string | { readonly linkTo: string }>>): Promise<Buffer> {
  const folder = await mkdtemp(join(runFolder(), "archive-"));
  const names = Object.entries(members);
  for (const [index, [, member]] of names.entries()) {
    if (typeof member === "string") await writeFile(join(folder, `m${index}`), member);
    else await symlink(member.linkTo, join(folder, `m${index}`));
  }
  const renamed = names.map(([name], index) => `--transform=s,^m${index}$,${name},S`);
  const args = ["-czPf", "archive.tar.gz", ...renamed, ...names.map((_, index) => `m${index}`)];
  await runProgram("tar", args, { signal, env: process.env, cwd: folder });
  return readFile(join(folder, "archive.tar.gz"));
}

/** Where releases are published. */
async function startSite() {
  const files = new Map<string, Buffer>();
  const server = createServer((request, response) => {
    site.requests += 1;
    if (site.isSilent) return;
    const file = files.get(request.url ?? "");
    if (file === undefined) response.writeHead(404).end();
    else if (site.cuts && request.url === "/tool.tar.gz") {
      response.writeHead(200, { "content-length": file.length });
      response.write(file.subarray(0, 20), () => response.destroy());
    } else response.end(file);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const site = {
    pin: pinOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    files,
    requests: 0,
    cuts: false,
    isSilent: false,
    publish: async (bytes: Buffer) => {
      files.set("/tool.tar.gz", bytes);
      files.set("/sums", Buffer.from(`${sha256(bytes)}\n`));
    },
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
  return site;
}
