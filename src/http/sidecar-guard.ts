/**
 * Who may come through the sidecar listener. daprd proves itself by a token; but any app of the mesh can have its own daprd ask
 * ours for any path, with headers of its choice, and what it asks arrives with our daprd's token.
 */

import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { Problem } from "#src/kernel/problem";
import { pathMalformed } from "./http.errors.ts";
import { callerRefused, sidecarTokenInvalid } from "./sidecar-app.errors.ts";

/** A refusal, and why in a word for the security stream; who was refused is told the problem only. */
export class Refusal extends Problem {
  readonly reason: string;

  constructor(type: ConstructorParameters<typeof Problem>[0], reason: string) {
    super(type);
    this.reason = reason;
  }
}

/** Throws unless the request has this token, once. Takes as long for a wrong one as for the right one. */
export type TokenCheck = (request: IncomingMessage) => void;

/** @throws Refusal `sidecar.token_invalid`, from what it returns */
export function tokenCheck(appToken: string): TokenCheck {
  const expected = digest(appToken);
  return (request) => {
    const [given, more] = valuesOf(request, "dapr-api-token");
    const fits = timingSafeEqual(digest(given ?? ""), expected);
    if (!fits || more !== undefined || given === undefined) throw new Refusal(sidecarTokenInvalid, "token");
  };
}

/** Printable ASCII; no backslash, empty or dots-only segment, no escape but of printable ASCII that means nothing in paths. */
const MALFORMED = /[^\x21-\x7e]|\\|\/\/|\/\.{1,2}(?:\/|$)|^(?!\/)|%(?![2-7][0-9A-Fa-f])|%(?:2[EeFf35]|3[Ff]|5[Cc]|7[Ff])/;

/**
 * daprd cleans paths before it looks up what a caller may do; where it and we could read one differently, we do not read on.
 * @throws Refusal `path.malformed`
 */
export function checkSidecarPath(path: string): void {
  if (MALFORMED.test(path)) throw new Refusal(pathMalformed, "path");
}

/** Headers that our daprd puts on what another app sent, and on nothing of its own. */
const OF_INVOCATIONS = ["dapr-caller-app-id", "dapr-callee-app-id", "dapr-caller-namespace"];

/** @throws Refusal `sidecar.caller_refused` for what shows that an app sent it; what does not show it may still be one's */
export function refuseInvocations(request: IncomingMessage): void {
  if (OF_INVOCATIONS.some((name) => valuesOf(request, name).length > 0)) throw new Refusal(callerRefused, "invocation");
}

/**
 * The questions daprd asks of its own accord. An app can have our daprd drop the headers above, but not `traceparent`, which is
 * on everything that was invoked and never on these (1.18.1, with and without tracing). `dapr-app-id` is on these once; over HTTP
 * an app's own daprd keeps it for itself, unless it comes beside an empty one.
 * @throws Refusal `sidecar.caller_refused`
 */
export function requireDaprd(request: IncomingMessage): void {
  refuseInvocations(request);
  const asks = valuesOf(request, "dapr-app-id").length === 1 && valuesOf(request, "traceparent").length === 0;
  if (!asks) throw new Refusal(callerRefused, "not daprd");
}

const APP_ID = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;

/**
 * The app that invoked: named once. daprd adds its name to whatever the app claims, so a claim shows as a second value.
 * @param namespace where callers must be, if that is known
 * @throws Refusal `sidecar.caller_refused`
 */
export function callerOf(request: IncomingMessage, namespace: string | undefined): string {
  const [caller, more] = valuesOf(request, "dapr-caller-app-id");
  if (caller === undefined || more !== undefined || !APP_ID.test(caller)) throw new Refusal(callerRefused, "caller not named once");
  const namespaces = valuesOf(request, "dapr-caller-namespace");
  const fits = namespace === undefined || (namespaces.length === 1 && namespaces[0] === namespace);
  if (!fits) throw new Refusal(callerRefused, "namespace");
  return caller;
}

/** What a request says of its caller, for the log only: it may be a lie. */
export function claimedCaller(request: IncomingMessage): string | undefined {
  const claimed = valuesOf(request, "dapr-caller-app-id");
  return claimed.length === 0 ? undefined : claimed.join(",").slice(0, 200);
}

function valuesOf(request: IncomingMessage, name: string): readonly string[] {
  return request.headersDistinct[name] ?? [];
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
