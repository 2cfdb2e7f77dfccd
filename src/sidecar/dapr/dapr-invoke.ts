/** Invocation of other apps through daprd: what the app said is told from what daprd says in its place. */

import { currentTraceparent, inSpan } from "#src/kernel/trace";
import { checkInvocation, invocationAnswer } from "../invocation.ts";
import type { Invocation, InvocationAnswer } from "../port.ts";
import type { DaprAnswer, DaprClient } from "./dapr-client.ts";
import { DaprRefused, errorCodeOf, messageOf, type RefusalReason } from "./dapr-errors.ts";

/** @throws DaprRefused when daprd answered in place of the app; RangeError for an id or path that no adapter takes */
export async function invokeThroughDapr(
  client: DaprClient,
  appId: string,
  request: Invocation,
  signal: AbortSignal,
): Promise<InvocationAnswer> {
  checkInvocation(appId, request.path);
  return await inSpan({ name: `invoke ${appId}`, kind: "client", attributes: { "peer.service": appId } }, () =>
    call(client, appId, request, signal),
  );
}

async function call(client: DaprClient, appId: string, request: Invocation, signal: AbortSignal): Promise<InvocationAnswer> {
  const { method, path, body, traceparent = currentTraceparent() } = request;
  const answer = await client.call(
    {
      method,
      path: `/v1.0/invoke/${encodeURIComponent(appId)}/method/${path}`,
      headers: {
        accept: "application/json",
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(traceparent === undefined ? {} : { traceparent }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    },
    signal,
  );
  const reason = refusalOf(answer);
  if (reason !== undefined) throw new DaprRefused(appId, reason, answer.status);
  return invocationAnswer(answer.status, answer.headers["content-type"], answer.text);
}

/** As name resolution says it by mDNS, by a register in SQLite, and in Kubernetes. */
const UNKNOWN = /couldn't find service|no host found|no such host/;

/**
 * daprd has no mark of its own on what it says in place of an app but this code; an app that says the same is taken for it,
 * which is its own loss. The words tell the cases apart (1.18.1).
 */
function refusalOf(answer: DaprAnswer): RefusalReason | undefined {
  if (answer.status === 401 && answer.text.trim() === "invalid api token") return "token";
  if (answer.status < 400 || errorCodeOf(answer) !== "ERR_DIRECT_INVOKE") return undefined;
  if (answer.status === 403) return "forbidden";
  const message = messageOf(answer);
  if (UNKNOWN.test(message)) return "unknown-app";
  return message.includes("InvalidArgument") ? "malformed" : "unreachable";
}
