/** What the kit itself tells clients. `account:restricted`, which it sends too, is described where restrictions are. */

import { z } from "zod";
import { serverEvent } from "./socket-event.ts";

export const sessionRevoked = serverEvent(
  "session:revoked",
  "The session of this connection ended; the connection is closed. Sign in again.",
  z.object({ sessionId: z.uuid(), reason: z.string().describe("A stable word, e.g. `logged_out`") }),
);

export const tokenExpiring = serverEvent(
  "token:expiring",
  "The access token ends soon: send a new one by `token:refresh`. With `secondsLeft: 0` it has ended and the connection is closed.",
  z.object({ expiresAt: z.iso.datetime(), secondsLeft: z.number().int() }),
);

export const serverDraining = serverEvent(
  "server:draining",
  "This process is about to stop. Connect anew after the delay, which differs from client to client.",
  z.object({ reconnectAfterMs: z.number().int() }),
);
