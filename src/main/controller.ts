/** `npm run controller`: turns `UserBan` resources into restrictions, through its sidecar. Knows no database. */

import { heardAfter, listenForTheEnd } from "./leaving.ts";

const leaving = listenForTheEnd();
const { runController } = await heardAfter(import("./controller-program.ts"));
await runController(leaving);
