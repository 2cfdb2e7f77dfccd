/** Before the first test of a run. Costs nothing: PostgreSQL is started by the first test that wants a database. */

import { createRunFolder, currentRunFolder } from "./run-folder.ts";

/** Jest's `globalSetup`. */
// oxlint-disable-next-line import/no-default-export -- Jest takes only a default export
export default async function globalSetup(): Promise<void> {
  if (currentRunFolder() === undefined) await createRunFolder(process.pid);
}
