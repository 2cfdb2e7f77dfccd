/** Official releases: fetched, held against the published SHA-256, and only then unpacked. */

import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { rename } from "node:fs/promises";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { runProgram } from "./run-program.ts";
import type { Environment } from "./find.ts";
import type { Pin } from "./pins.ts";

/** Where a program is fetched or built, and within which bounds. */
export interface Workplace {
  /** An empty folder for this attempt alone. */
  readonly folder: string;
  /** Of the programs that are run. */
  readonly env: Environment;
  /** Aborted when the time is over or nobody waits any more. */
  readonly signal: AbortSignal;
  /** A server that says nothing for so long is given up. */
  readonly patienceMs: number;
}

const MOST_BYTES = 1024 ** 3;
const MOST_CHECKSUM_BYTES = 1024 ** 2;
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/** Fetches the program for this machine and returns its path, below the workplace. @throws in words that a person can act on */
export async function downloadRelease({ name, release }: Pin, workplace: Workplace): Promise<string> {
  const { folder } = workplace;
  const arch = ARCHITECTURES[process.arch];
  if (arch === undefined || !release.systems.includes(process.platform))
    throw new Error(`no release for ${process.platform} on ${process.arch} that we know of`);
  const here = (template: string): string => template.replaceAll("{os}", process.platform).replaceAll("{arch}", arch);
  const [file, path] = [here(release.file), join(folder, name)];
  const wanted = await publishedSum(here(release.checksums), basename(new URL(file).pathname), workplace);
  // Not under the program's name before it is known to be what was published.
  const fetched = join(folder, "fetched");
  const sum = await fetchTo(file, fetched, workplace);
  if (sum !== wanted) throw new Error(`${file} has SHA-256 ${sum}, published is ${wanted}`);
  if (release.member === undefined) await rename(fetched, path);
  // No name in the archive becomes a path: the one member's bytes go where we say, whatever else is in it.
  else await runProgram("tar", ["-xzOf", fetched, "--", here(release.member)], { ...workplace, stdoutTo: path });
  return path;
}

/** The sum that stands alone, or beside the file's name. */
async function publishedSum(address: string, fileName: string, workplace: Workplace): Promise<string> {
  let text = "";
  for await (const chunk of chunksOf(address, workplace)) {
    text += Buffer.from(chunk).toString("utf8");
    if (text.length > MOST_CHECKSUM_BYTES) throw new Error(`${address} is no list of checksums`);
  }
  const lines = text.trim().split("\n");
  const named = lines.map((line) => /^([0-9a-f]{64})(?:\s+\*?(\S+))?\s*$/i.exec(line));
  const found =
    named.find((match) => match?.[2] === fileName) ?? (lines.length === 1 && named[0]?.[2] === undefined ? named[0] : undefined);
  if (found?.[1] === undefined) throw new Error(`${address} has no SHA-256 of ${fileName}`);
  return found[1].toLowerCase();
}

async function fetchTo(address: string, path: string, workplace: Workplace): Promise<string> {
  const hash = createHash("sha256");
  let bytes = 0;
  const measured = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunksOf(address, workplace)) {
      bytes += chunk.byteLength;
      if (bytes > MOST_BYTES) throw new Error(`${address} is larger than ${MOST_BYTES} bytes`);
      hash.update(chunk);
      yield chunk;
    }
  };
  await pipeline(measured, createWriteStream(path, { flags: "wx", mode: 0o600 }));
  return hash.digest("hex");
}

/** The body of a GET. */
async function* chunksOf(address: string, { signal, patienceMs }: Workplace): AsyncGenerator<Uint8Array> {
  const silence = new AbortController();
  const { host } = new URL(address);
  const timer = setTimeout(() => silence.abort(new Error(`${host} has said nothing for ${patienceMs} ms`)), patienceMs);
  try {
    const response = await fetch(address, { signal: AbortSignal.any([signal, silence.signal]), headers: { connection: "close" } });
    if (!response.ok || response.body === null) throw new Error(`${address} answers ${response.status}`);
    for await (const chunk of response.body) {
      timer.refresh();
      yield chunk;
    }
  } catch (error) {
    throw silence.signal.aborted ? silence.signal.reason : inWords(error, address);
  } finally {
    clearTimeout(timer);
  }
}

function inWords(error: unknown, address: string): Error {
  const cause = error instanceof TypeError ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
  if (cause === undefined) return error as Error;
  return new Error(`${new URL(address).host}: ${cause.code ?? cause.message}`, { cause: error });
}
