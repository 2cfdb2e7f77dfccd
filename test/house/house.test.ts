/** What is said of the house is true: its tree, its order, its documents, its catalogue of problems. */

import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { problemCatalogue } from "#src/kernel/problem";
import { features } from "#src/main/features";
import "#src/main/serve";

const root = join(import.meta.dirname, "..", "..");

async function text(...path: string[]): Promise<string> {
  return await readFile(join(root, ...path), "utf8");
}

async function folders(...path: string[]): Promise<string[]> {
  const entries = await readdir(join(root, ...path), { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

async function filesBelow(folder: string, ending: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { recursive: true });
  return entries.filter((name) => name.endsWith(ending)).map((name) => join(folder, name));
}

describe("the house", () => {
  it("has the rooms that docs/architecture.md draws, and no other", async () => {
    const tree = /```\nsrc\/\n([\s\S]*?)```/.exec(await text("docs", "architecture.md"))?.[1] ?? "";
    const drawn = [...tree.matchAll(/^ {2}([a-z-]+)\/ /gm)].map((match) => match[1]);
    const rooms = await folders("src");

    expect(new Set(rooms)).toEqual(new Set(drawn.filter((room) => rooms.includes(room ?? ""))));
    expect((await folders("test")).every((room) => tree.includes(`${room}/`))).toBe(true);
  });

  it("has features that use earlier ones only", async () => {
    const order = ["audit", "accounts", ...features.map((feature) => feature.name)];
    expect(new Set(order)).toEqual(new Set(await folders("src", "features")));
    for (const file of (await filesBelow("src/features", ".ts")).filter((name) => !name.endsWith(".test.ts"))) {
      const own = file.split("/")[2] ?? "";
      for (const [, used = ""] of (await text(file)).matchAll(/"#src\/features\/([a-z-]+)\//g)) {
        expect({ file, used, isEarlier: order.indexOf(used) <= order.indexOf(own) }).toEqual({ file, used, isEarlier: true });
      }
    }
  });

  it("speaks HTTP/2 to the API server of Kubernetes only, where streams without an owner are heard", async () => {
    const agents = /new Agent\((?!\{[^}]*allowH2: false)/;
    const speaking: string[] = [];
    for (const file of (await filesBelow("src", ".ts")).filter((name) => !name.endsWith(".test.ts")))
      if (agents.test(await text(file))) speaking.push(file);
    expect(speaking).toEqual(["src/controller/kube.ts"]);
  });

  it("has a README of at most 30 lines in each feature", async () => {
    for (const feature of await folders("src", "features")) {
      const lines = (await text("src", "features", feature, "README.md")).trimEnd().split("\n").length;
      expect({ feature, fits: lines <= 30 }).toEqual({ feature, fits: true });
    }
  });

  it("has one catalogue of problems, each with a stable code of its form", () => {
    for (const { code, status } of problemCatalogue()) {
      expect(code).toMatch(/^[a-z][a-z_]*\.[a-z][a-z_]*$/);
      expect(status).toBeGreaterThanOrEqual(400);
    }
    expect(problemCatalogue().length).toBeGreaterThan(20);
  });

  it("lists every code in docs/problems.md", async () => {
    const rows = problemCatalogue()
      .map(({ code, status, title }) => `| \`${code}\` | ${status} | ${title} |`)
      .sort((one, other) => (one < other ? -1 : 1));
    const intro =
      "# Problems\n\nEvery refusal has one of these codes, over REST (`code` of the problem document, RFC 9457), GraphQL (`extensions.code`) and\n" +
      "sockets (`error.code` of the ack). A code never changes its meaning. Written by: `UPDATE_DOCS=1 npm test -- test/house`\n\n";
    const table = `${intro}| code | status | title |\n|---|---|---|\n${rows.join("\n")}\n`;
    if (process.env["UPDATE_DOCS"] !== undefined) await writeFile(join(root, "docs", "problems.md"), table);

    expect(await text("docs", "problems.md")).toBe(table);
  });

  it("links to nothing that is not there", async () => {
    const documents = ["README.md", "CONTRIBUTING.md", "SECURITY.md", ...(await filesBelow("docs", ".md"))];
    for (const file of documents) {
      for (const [, target = ""] of (await text(file)).matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)/g)) {
        const path = join(file, "..", target);
        await expect(
          readFile(join(root, path)).then(
            () => path,
            (error: NodeJS.ErrnoException) => (error.code === "EISDIR" ? path : error.code),
          ),
        ).resolves.toBe(path);
      }
    }
  });

  it("names every npm script in CONTRIBUTING.md", async () => {
    const { scripts } = JSON.parse(await text("package.json")) as { scripts: Record<string, string> };
    const told = await text("CONTRIBUTING.md");
    expect(Object.keys(scripts).filter((name) => !told.includes(name))).toEqual([]);
  });
});
