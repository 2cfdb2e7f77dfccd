/** compose.yaml as Docker Compose would read it, for tests: anchors merged, variables at their defaults. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";

const root = join(import.meta.dirname, "..", "..");

/** What tests look at of a service. */
export interface ComposeService {
  readonly image: string;
  readonly build?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly network_mode?: string;
  readonly profiles?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
}

/** What tests look at of the file. */
export interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

/** A file or folder of the repository in a container, or a named volume. */
export interface Mount {
  readonly source: string;
  readonly target: string;
  readonly isFile: boolean;
}

/** @param file from the root of the repository */
export async function readCompose(file = "compose.yaml"): Promise<Compose> {
  // `!reset []` is Compose's own: what an earlier file says is taken away.
  const reset = { tag: "!reset", collection: "seq" as const };
  const text = await readFile(join(root, file), "utf8");
  return parse(text, interpolated, { merge: true, customTags: [reset] }) as Compose;
}

/** The service of that name. @throws Error when there is none */
export function serviceOf(compose: Compose, name: string): ComposeService {
  const service = compose.services[name];
  if (service === undefined) throw new Error(`compose has no service ${name}`);
  return service;
}

/** The mounts of a service. Sources are as they are written. */
export function mountsOf(service: ComposeService): Mount[] {
  return (service.volumes ?? []).map((volume) => {
    const [source = "", target = ""] = volume.split(":");
    return { source, target, isFile: source.startsWith(".") || source.startsWith("/") };
  });
}

/** `--name=value` and `--name` as a map; a flag without value is `true`. @throws Error for what is no flag */
export function flagsOf(service: ComposeService): Map<string, string | true> {
  return new Map(
    (service.command ?? []).map((flag) => {
      const [, name, value] = /^--([a-z-]+)(?:=(.*))?$/.exec(flag) ?? [];
      if (name === undefined) throw new Error(`${flag} is no flag`);
      return [name, value ?? true] as const;
    }),
  );
}

/** `${NAME:-default}` with NAME unset, and `$$` for a dollar: in values, after the file is parsed. */
function interpolated(_key: unknown, value: unknown): unknown {
  if (typeof value !== "string") return value;
  return value.replaceAll(/\$\{[A-Z_]+:-([^}]*)\}|\$(\$)/g, (_, byDefault?: string, dollar?: string) => dollar ?? byDefault ?? "");
}
