/** Where the programs are that are no part of node_modules. Without Jest, so that what starts them serves the bench too. */

import { findPinned, findProgram } from "../../scripts/tools/find.ts";
import { readTools } from "../../scripts/tools/pins.ts";

const { pinned } = readTools();

/** The program's path: of a tool that tools.json pins in that version, of any other as TOOLS_DIR or PATH has it. */
export function findTool(name: string): string | undefined {
  const pin = pinned[name];
  return pin === undefined ? findProgram(name) : findPinned(pin).path;
}
