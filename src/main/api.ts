/** `npm run api`: REST, GraphQL and Socket.IO on the public listener. */

import { openCore, urlsOf } from "./deps.ts";
import { runProcess } from "./run.ts";
import { startApi } from "./serve.ts";

await runProcess({
  name: "api",
  setting: "api",
  start: async (config, log, leaving) => {
    const core = await openCore(config, log, urlsOf(config));
    const api = await startApi(core, { relaysHere: config.sidecar === "local", leaving });
    log.info({ address: config.bindAddress, port: api.port }, "api is ready");
    return {
      stop: async (signal) => {
        await api.stop(signal);
        await core[Symbol.asyncDispose]();
      },
    };
  },
});
