/** `npm run worker`: jobs and sweeps, and the relay of the outbox where daprd is the sidecar. */

import { heardAfter, listenForTheEnd } from "./leaving.ts";

const leaving = listenForTheEnd();
const { runWorker } = await heardAfter(import("./worker-program.ts"));
await runWorker(leaving);
