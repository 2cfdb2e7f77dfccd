/** After the last test of a run. A run that is killed does not come here; then the database's keeper notices by itself. */

import { runFolder, runPid, removeRunFolder } from "./run-folder.ts";
import { stopTestServer } from "./test-server.ts";

/** Jest's `globalTeardown`. */
// oxlint-disable-next-line import/no-default-export -- Jest takes only a default export
export default async function globalTeardown(): Promise<void> {
  const folder = runFolder();
  await stopTestServer(folder);
  // A folder that the runner made holds what it reads afterwards.
  if (runPid() === process.pid) await removeRunFolder(folder);
}
