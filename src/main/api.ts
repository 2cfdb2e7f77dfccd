/** `npm run api`: REST, GraphQL and Socket.IO on the public listener. */

import { openCore, urlsOf } from "./deps.ts";
import { runProcess } from "./run.ts";
import { startApi } from "./serve.ts";

await runProcess({
  name: "api",
  setting: "service",
  start: async (config, log) => {
    const core = openCore(config, log, urlsOf(config));
    const api = await startApi(core);
    log.info({ address: config.bindAddress, port: api.port }, "api is ready");
    return {
      stop: async (signal) => {
        await api.stop(signal);
        await core[Symbol.asyncDispose]();
      },
    };
  },
});
