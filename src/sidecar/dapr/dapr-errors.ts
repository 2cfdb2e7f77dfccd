/** How daprd says no. Its messages may hold addresses and passwords of what is behind it: only their code goes on. */

import type { DaprAnswer } from "./dapr-client.ts";

/** An answer that is daprd's refusal. */
export class DaprError extends Error {
  readonly status: number;
  /** daprd's own, e.g. `ERR_PUBSUB_PUBLISH_MESSAGE`. */
  readonly errorCode: string | undefined;

  constructor(doing: string, answer: DaprAnswer) {
    const errorCode = errorCodeOf(answer);
    super(`daprd answered ${answer.status}${errorCode === undefined ? "" : ` ${errorCode}`} to ${doing}`);
    this.name = "DaprError";
    this.status = answer.status;
    this.errorCode = errorCode;
  }
}

/** Why an app could not be invoked. `unreachable`: it is known but does not answer, or its sidecar does not. */
export type RefusalReason = "unknown-app" | "forbidden" | "unreachable" | "token" | "malformed";

/** An invocation that never reached the other app's code, as far as that can be told. */
export class DaprRefused extends Error {
  readonly reason: RefusalReason;
  readonly status: number;

  constructor(appId: string, reason: RefusalReason, status: number) {
    super(`${appId} was not invoked: ${reason}`);
    this.name = "DaprRefused";
    this.reason = reason;
    this.status = status;
  }
}

const CODE = /^ERR_[A-Z_]{1,60}$/;

/** The `errorCode` of daprd's error body, where there is one. */
export function errorCodeOf(answer: DaprAnswer): string | undefined {
  const { errorCode } = errorBody(answer);
  return typeof errorCode === "string" && CODE.test(errorCode) ? errorCode : undefined;
}

/** daprd's message, for telling cases apart; never to be shown. */
export function messageOf(answer: DaprAnswer): string {
  const { message } = errorBody(answer);
  return typeof message === "string" ? message : "";
}

function errorBody({ text }: DaprAnswer): { readonly errorCode?: unknown; readonly message?: unknown } {
  // An app's answer may be long and is no error body; daprd's begin like this.
  if (!text.startsWith('{"errorCode"')) return {};
  try {
    return JSON.parse(text) as { readonly errorCode?: unknown; readonly message?: unknown };
  } catch {
    return {};
  }
}
