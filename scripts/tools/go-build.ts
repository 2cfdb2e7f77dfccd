/** The pinned version from source, by the ordinary Go client: long (daprd 10 to 15 minutes on two cores), but it needs no release. */

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Workplace } from "./download.ts";
import type { GoBuild, Pin } from "./pins.ts";
import { runProgram } from "./run-program.ts";

/** Of `go mod edit -json`. */
interface GoMod {
  readonly Replace:
    | readonly {
        readonly Old: { readonly Path: string; readonly Version?: string };
        readonly New: { readonly Path: string; readonly Version?: string };
      }[]
    | null;
}

const DOWNLOADING = /^go: downloading /;
const ENVIRONMENT = { CGO_ENABLED: "0", GOFLAGS: "-mod=mod -buildvcs=false", GOWORK: "off" };

/** Builds the program and returns its path, below the workplace. @throws with what Go said */
export async function buildFromSource({ name, build }: Pin, { folder, signal, env }: Workplace): Promise<string> {
  const go = (args: readonly string[]): Promise<string> =>
    runProgram("go", args, { signal, cwd: folder, env: { ...env, ...ENVIRONMENT }, noise: DOWNLOADING });
  // Go holds the module against these sums, and all that it requires against its checksum database.
  const sums = [`${build.module} ${build.version} ${build.sum}`, `${build.module} ${build.version}/go.mod ${build.modSum}`];
  await writeFile(join(folder, "go.sum"), `${sums.join("\n")}\n`);
  await writeFile(join(folder, "go.mod"), goMod(build, {}));
  const { GoMod: theirs } = JSON.parse(await go(["mod", "download", "-json", `${build.module}@${build.version}`])) as { GoMod: string };
  await writeFile(join(folder, "theirs.mod"), await readFile(theirs));
  const mod = JSON.parse(await go(["mod", "edit", "-json", "theirs.mod"])) as GoMod & { readonly Go?: string };
  await writeFile(join(folder, "go.mod"), goMod(build, replacements(build, mod), mod.Go));
  const variables = Object.entries(build.variables ?? {}).map(([variable, value]) => `-X ${variable}=${value}`);
  const path = join(folder, name);
  await go([
    "build",
    "-trimpath",
    ...(build.tags === undefined ? [] : [`-tags=${build.tags}`]),
    `-ldflags=${["-s", "-w", ...variables].join(" ")}`,
    "-o",
    path,
    build.package,
  ]);
  return path;
}

/** Replacements do not count where a module is required; the program is what its authors tested only with them. */
function replacements(build: GoBuild, { Replace }: GoMod): Record<string, string> {
  const kept = (Replace ?? []).flatMap(({ Old, New }): [string, string][] => {
    const old = Old.Version === undefined ? Old.Path : `${Old.Path} ${Old.Version}`;
    if (New.Version !== undefined) return [[old, `${New.Path} ${New.Version}`]];
    // A folder beside the module, which is published under its own name.
    return build.stagedAs === undefined ? [] : [[old, `${Old.Path} ${build.stagedAs}`]];
  });
  return { ...Object.fromEntries(kept), ...build.replace };
}

function goMod(build: GoBuild, replace: Readonly<Record<string, string>>, go = "1.24"): string {
  const lines = Object.entries(replace).map(([old, by]) => `replace ${old} => ${by}`);
  return [`module tools`, `go ${go}`, `require ${build.module} ${build.version}`, ...lines, ""].join("\n");
}
