/** tools.json: the programs that tests want beyond Node, each in one version. */

import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A program and where it comes from. */
export interface Pin {
  readonly name: string;
  readonly version: string;
  /** What makes it print its version. */
  readonly versionArguments: readonly string[];
  readonly release: Release;
  readonly build: GoBuild;
}

/** An official release. In addresses and members `{os}` is linux or darwin, `{arch}` amd64 or arm64. */
export interface Release {
  readonly file: string;
  /** Either the SHA-256 alone, or lines of sums and file names. */
  readonly checksums: string;
  /** The program inside a .tar.gz; without it the file is the program. */
  readonly member?: string;
  readonly systems: readonly string[];
}

/** A Go module that holds the program. */
export interface GoBuild {
  readonly module: string;
  readonly version: string;
  /** As in go.sum: of the module and of its go.mod. */
  readonly sum: string;
  readonly modSum: string;
  readonly package: string;
  readonly tags?: string;
  /** String variables that the linker sets. */
  readonly variables?: Readonly<Record<string, string>>;
  /** The version under which modules that live in the same repository are published: the module refers to them by path. */
  readonly stagedAs?: string;
  /** Beyond what the module's own go.mod replaces. */
  readonly replace?: Readonly<Record<string, string>>;
}

/** The whole file. */
export interface Tools {
  readonly pinned: Readonly<Record<string, Pin>>;
  /** Programs that any recent version of is good enough → their package on Debian. */
  readonly debian: Readonly<Record<string, string>>;
}

interface ToolsFile {
  readonly pinned: Readonly<Record<string, Omit<Pin, "name">>>;
  readonly debian: Readonly<Record<string, string>>;
}

/** Reads tools.json of this checkout. */
export function readTools(): Tools {
  const { pinned, debian } = JSON.parse(readFileSync(join(import.meta.dirname, "..", "..", "tools.json"), "utf8")) as ToolsFile;
  const pins = Object.entries(pinned).map(([name, pin]) => [name, { name, ...pin }] as const);
  return { pinned: Object.fromEntries(pins), debian };
}

/** Names a tool in one version, for files. */
export function pinKey(pin: Pin): string {
  return `${pin.name}-${pin.version}`;
}
