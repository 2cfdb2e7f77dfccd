/** Invocation on one machine: other apps are where the environment says, `APP_SOCIAL_SERVICE_URL` for `social-service`. */

import { Agent, request as send } from "undici";
import { currentTraceparent } from "#src/kernel/trace";
import { checkInvocation, invocationAnswer } from "../invocation.ts";
import type { Sidecar } from "../port.ts";

/** `close` ends the connections; what is under way is rejected. */
export interface LocalInvoke {
  readonly invoke: Sidecar["invoke"];
  readonly close: () => Promise<void>;
}

/** Calls apps at the addresses of the environment; nothing is connected before the first call. */
export function createLocalInvoke(environment: Readonly<Record<string, string | undefined>>): LocalInvoke {
  // No HTTP/2, as everywhere but in controller/kube.ts.
  const dispatcher = new Agent({ allowH2: false, connect: { timeout: 2_000 } });
  return {
    invoke: async (appId, { method, path, body, traceparent = currentTraceparent() }, signal) => {
      checkInvocation(appId, path);
      const {
        statusCode,
        headers,
        body: answered,
      } = await send(`${addressOf(environment, appId)}/${path}`, {
        dispatcher,
        method,
        headers: {
          accept: "application/json",
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...(traceparent === undefined ? {} : { traceparent }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal,
      });
      return invocationAnswer(statusCode, headers["content-type"], await answered.text());
    },
    close: () => dispatcher.destroy(),
  };
}

/** @throws Error naming the variable that is not set */
function addressOf(environment: Readonly<Record<string, string | undefined>>, appId: string): string {
  const variable = `APP_${appId.toUpperCase().replaceAll(/[-.]/g, "_")}_URL`;
  const base = environment[variable];
  if (base === undefined || base === "") throw new Error(`${appId} has no address: set ${variable}`);
  return base.replace(/\/+$/, "");
}
