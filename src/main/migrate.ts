/** `npm run migrate`: applies migrations, makes the first admin where one is configured, and ends. */

import { heardAfter, listenForTheEnd } from "./leaving.ts";

// Told to end, it just ends: what was not committed is as if it had not been begun.
listenForTheEnd();
const { runMigrate } = await heardAfter(import("./migrate-program.ts"));
await runMigrate();
