/** Who may connect: the origin of a page, then the bearer of a token. */

import type { IncomingMessage } from "node:http";
import type { Socket } from "socket.io";
import { accountOrLook, type Action, type Client, type Gate, type Throttle } from "#src/kernel/actor";
import { securityEvent, type Log } from "#src/kernel/log";
import { internalError, Problem } from "#src/kernel/problem";
import { problemDocument } from "#src/kernel/problem-document";
import { attachConnection, Connection } from "./connection.ts";

export interface AdmissionNeeds {
  readonly gate: Gate;
  readonly throttle: Throttle;
  readonly clientOf: (request: IncomingMessage) => Client;
  readonly allowsOrigin: (origin: string) => boolean;
  readonly log: Log;
  readonly onRefused: (code: string) => void;
}

const connectAction: Action = { name: "realtime.connect", limit: 120, windowSeconds: 60 };

/** Whether a request of this origin may begin a connection. Browsers send the header whatever a page wants; other clients send none. */
export function isOriginAdmitted(needs: AdmissionNeeds, request: IncomingMessage): boolean {
  const { origin } = request.headers;
  if (origin === undefined || needs.allowsOrigin(origin)) return true;
  needs.onRefused("origin");
  securityEvent(needs.log, { kind: "origin.refused", address: needs.clientOf(request).address, reason: origin.slice(0, 200) });
  return false;
}

/** Socket.IO's middleware: a refusal reaches the client as `connect_error` with the problem document in `data`. Cookies are not looked at. */
export function admission(needs: AdmissionNeeds): (socket: Socket, next: (error?: Error) => void) => void {
  return (socket, next) => void introduce(needs, socket, next);
}

async function introduce(needs: AdmissionNeeds, socket: Socket, next: (error?: Error) => void): Promise<void> {
  try {
    await admit(needs, socket);
  } catch (error) {
    const problem = error instanceof Problem ? error : new Problem(internalError);
    if (problem !== error) needs.log.error({ error: error instanceof Error ? error.stack : String(error) }, "a connection failed");
    needs.onRefused(problem.code);
    next(Object.assign(new Error(problem.code), { data: problemDocument(problem) }));
    return;
  }
  next();
}

async function admit(needs: AdmissionNeeds, socket: Socket): Promise<void> {
  const given: unknown = socket.handshake.auth["token"];
  const accessToken = typeof given === "string" && given !== "" ? given : undefined;
  const actor = await needs.gate(accessToken, accountOrLook);
  if (accessToken === undefined || actor === undefined) throw new Error("the gate let somebody in without a token");
  const client = needs.clientOf(socket.request);
  needs.throttle(connectAction, { actor, client });
  attachConnection(new Connection(socket, client, { accessToken, actor }));
}
