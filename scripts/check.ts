/** `npm run check`: format, lint, types, boundaries, dead code, sizes, documents. Each step prints what is wrong; all of them run. */

import { spawn } from "node:child_process";
import { readFile, readdir } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = (name: string): string => join(root, "node_modules", ".bin", name);

/** Which folder may write which table. */
const OWNERS: Readonly<Record<string, string>> = {
  audit_log: "features/audit",
  audit_details: "features/audit",
  users: "features/accounts",
  former_usernames: "features/accounts",
  user_preferences: "features/preferences",
  privacy_settings: "features/profiles",
  tie_changes: "features/profiles",
  mutes: "features/graph",
  notices: "features/notices",
  sessions: "features/sessions",
  refresh_tokens: "features/sessions",
  revocations: "features/sessions",
  feed_epoch: "features/sessions",
  trusted_devices: "features/sessions",
  credentials: "features/sign-in",
  totp_factors: "features/factors",
  recovery_codes: "features/factors",
  passkeys: "features/factors",
  identities: "features/identities",
  one_time_tokens: "features/one-time-tokens",
  follows: "features/graph",
  blocks: "features/graph",
  count_deltas: "features/graph",
  follow_counts: "features/graph",
  suggestion_dismissals: "features/discovery",
  pods: "features/presence",
  connections: "features/presence",
  presence_states: "features/presence",
  last_seen: "features/presence",
  restrictions: "features/restrictions",
  social_profiles: "features/neighbours",
  declared_restrictions: "features/restrictions",
  outbox: "events",
  inbox: "events",
  user_versions: "events",
  jobs: "jobs",
  sweeps: "jobs",
  sidecar_state: "sidecar/local",
  mailbox: "mail",
};

interface Step {
  readonly name: string;
  readonly run: () => Promise<{ readonly ok: boolean; readonly output: string }>;
}

const LINTED = ["src", "test", "scripts", "migrations", "bench", "k8s", "dapr"];
/** Far fewer than this and the tool has read nothing, which it calls success. */
const LEAST_MODULES = 100;

const steps: readonly Step[] = [
  { name: "format", run: () => command(bin("oxfmt"), ["--check", ...LINTED]) },
  { name: "lint", run: () => command(bin("oxlint"), ["--type-aware", ...LINTED]) },
  // One checker: each further one checks again what it needs of the others, and the cores are busy with the other steps.
  { name: "types", run: () => command(bin("tsc"), ["-p", ".", "--checkers", "1"]) },
  { name: "boundaries", run: boundaries },
  { name: "dead code", run: () => command(bin("knip"), ["--no-progress", "--treat-config-hints-as-errors"]) },
  { name: "table owners", run: tableOwners },
  { name: "sizes", run: sizes },
];

const results = await Promise.all(
  steps.map(async (step) => {
    const { ok, output } = await step.run();
    return { name: step.name, ok, output };
  }),
);
for (const { name, ok, output } of results) {
  console.log(`${ok ? "ok  " : "FAIL"} ${name}`);
  if (!ok || name === "sizes") console.log(output.trimEnd());
}
process.exitCode = results.every((result) => result.ok) ? 0 : 1;

function command(file: string, args: readonly string[]): Promise<{ ok: boolean; output: string }> {
  return new Promise((resolve) => {
    // The shims start whatever `node` is first on the PATH; under npm that is the pinned one.
    const child = spawn(file, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.on("error", (error) => resolve({ ok: false, output: String(error) }));
    child.on("close", (code) => resolve({ ok: code === 0, output }));
  });
}

async function boundaries(): Promise<{ ok: boolean; output: string }> {
  const { ok, output } = await command(bin("depcruise"), ["src", "--output-type", "err"]);
  const modules = Number(/(\d+) modules/.exec(output)?.[1] ?? 0);
  if (modules < LEAST_MODULES) return { ok: false, output: `${output}\nonly ${modules} modules were read` };
  return { ok, output };
}

async function sourceFiles(folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

/** Writes stand in the owner's `*.sql.ts` only; and no table is without an owner. */
async function tableOwners(): Promise<{ ok: boolean; output: string }> {
  const wrong: string[] = [];
  for (const file of (await sourceFiles("src")).filter((name) => !name.endsWith(".test.ts"))) {
    const text = await readFile(join(root, file), "utf8");
    for (const [, table = ""] of text.matchAll(
      /\b(?:insert into|delete from|update) ([a-z_]+)\b(?=\s+(?:as |set|\(|where|using|[a-z]{1,2}\b|default))/g,
    )) {
      const owner = OWNERS[table];
      if (owner !== undefined && !file.startsWith(`src/${owner}/`)) wrong.push(`${file} writes ${table}, which belongs to src/${owner}`);
    }
  }
  const migrations = await Promise.all((await sourceFiles("migrations")).map((file) => readFile(join(root, file), "utf8")));
  for (const [, table = ""] of migrations.join("\n").matchAll(/create (?:unlogged )?table (?:if not exists )?([a-z_]+)/g)) {
    if (OWNERS[table] === undefined) wrong.push(`table ${table} has no owner in scripts/check.ts`);
  }
  return { ok: wrong.length === 0, output: wrong.join("\n") };
}

/** The size table of the product code, and the exceptions that the code asks for. */
async function sizes(): Promise<{ ok: boolean; output: string }> {
  const files = (await sourceFiles("src")).filter((name) => !name.endsWith(".test.ts"));
  const texts = await Promise.all(files.map(async (file) => ({ file, text: await readFile(join(root, file), "utf8") })));
  const lengths = texts.map(({ text }) => text.split("\n").length - 1).sort((a, b) => a - b);
  const at = (share: number): number => lengths[Math.min(lengths.length - 1, Math.floor(lengths.length * share))] ?? 0;
  const [median, p95, longest] = [at(0.5), at(0.95), lengths.at(-1) ?? 0];
  const allowed = texts.flatMap(({ file, text }) =>
    [...text.matchAll(/\/\/ allow: (.+)/g)].map((match) => `     ${file}: ${match[1] ?? ""}`),
  );
  const table = `     ${files.length} files, median ${median} (limit 80), p95 ${p95} (limit 250), longest ${longest} (limit 400)`;
  return { ok: median <= 80 && p95 <= 250 && longest <= 400, output: [table, ...allowed].join("\n") };
}
