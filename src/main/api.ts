/** `npm run api`: REST, GraphQL and Socket.IO on the public listener. */

import { heardAfter, listenForTheEnd } from "./leaving.ts";

const leaving = listenForTheEnd();
const { runApi } = await heardAfter(import("./api-program.ts"));
await runApi(leaving);
