/** `token:refresh`: a connection goes on with a newer token of the same session. */

import { z } from "zod";
import { account, type Gate } from "#src/kernel/actor";
import { Problem } from "#src/kernel/problem";
import { Connection } from "./connection.ts";
import { tokenOfAnother } from "./realtime.errors.ts";
import { socketEvent, type SocketEvent } from "./socket-event.ts";

/** The events the kit answers itself; the documents list them beside the features'. */
export function kitEvents(gate: Gate): readonly SocketEvent<unknown>[] {
  return [
    socketEvent({
      name: "token:refresh",
      summary: "Go on with a newer access token of the same session; without it the connection is closed when the old one ends",
      payload: z.strictObject({ accessToken: z.string().max(4096) }),
      answer: z.strictObject({ expiresAt: z.iso.datetime() }),
      needs: account,
      throttle: { name: "realtime.token_refresh", limit: 30, windowSeconds: 60 },
      problems: [tokenOfAnother],
      handle: async (_deps: unknown, socket, { accessToken }) => {
        const actor = await gate(accessToken, account);
        if (!(socket instanceof Connection) || actor?.sessionId !== socket.actor.sessionId || actor.userId !== socket.actor.userId) {
          throw new Problem(tokenOfAnother);
        }
        socket.accessToken = accessToken;
        socket.actor = actor;
        return { expiresAt: actor.tokenExpiresAt.toISOString() };
      },
    }),
  ];
}
