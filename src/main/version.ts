/** The version of this package, for documents and the health routes. */

import { readFileSync } from "node:fs";

const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { readonly version: string };

export const version = manifest.version;
