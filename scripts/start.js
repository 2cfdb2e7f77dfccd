/** `npm start`: the whole service in one process, on an empty machine with Node 20 or later and npm. */

import { runOnPinnedNode } from "./node24.js";

await runOnPinnedNode("src/main/standalone.ts", process.argv.slice(2));
