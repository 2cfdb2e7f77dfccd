/** The manifest of trusted documents: which there are, and that each is one that this service would run. */

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { validate, type GraphQLSchema } from "graphql";
import { z } from "zod";
import type { Manifest } from "./documents.ts";
import { parseWithinLimits } from "./limits.ts";

const shape = z.record(z.string(), z.string());

/** SHA-256 of a document's text, as clients send it. */
export function documentHash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/**
 * Reads `{"<SHA-256 of the document>": "<document>", …}`.
 * @throws Error naming the file and what is wrong with it
 */
export async function readManifest(path: string): Promise<Manifest> {
  const wrong = (what: string): Error => new Error(`the documents of GRAPHQL_DOCUMENTS (${path}) ${what}`);
  let given: unknown;
  try {
    given = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    throw wrong(`cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  const parsed = shape.safeParse(given);
  if (!parsed.success) throw wrong("must be one JSON object of documents by their SHA-256");
  const manifest = new Map(Object.entries(parsed.data));
  for (const [hash, text] of manifest)
    if (hash !== documentHash(text)) throw wrong(`have one under ${shown(hash)}, which is not its SHA-256`);
  if (manifest.size === 0) throw wrong("are none");
  return manifest;
}

/**
 * A document that fits the schema no more is found when the service starts, not when its client asks.
 * @throws Error naming the first that is refused and why
 */
export function requireRunnable(schema: GraphQLSchema, manifest: Manifest): void {
  for (const [hash, text] of manifest) {
    const reason = refusalOf(schema, text);
    if (reason !== undefined) throw new Error(`the trusted document ${shown(hash)} would be refused: ${reason}`);
  }
}

function refusalOf(schema: GraphQLSchema, text: string): string | undefined {
  try {
    const [first] = validate(schema, parseWithinLimits(text));
    return first?.message;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function shown(hash: string): string {
  return hash.slice(0, 16);
}
