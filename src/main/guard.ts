/** The session gate of this process: its memory, its feed, and what the feed's news does to open sockets. */

import { createGate } from "#src/features/sessions/gate";
import { GateMemory } from "#src/features/sessions/gate-memory";
import { selectSessionState } from "#src/features/sessions/gate.sql";
import type { AccessTokens } from "#src/features/sessions/access-token";
import { RevocationFeed } from "#src/features/sessions/feed";
import type { Revocation } from "#src/features/sessions/feed.sql";
import { createRecordUse } from "#src/features/sessions/record-use";
import { SeenSessions } from "#src/features/sessions/seen-sessions";
import type { Gate } from "#src/kernel/actor";
import type { Realtime } from "#src/realtime/realtime";
import type { CoreDeps } from "./deps.ts";

/** What the rest of the process needs of it. */
export interface SessionGuard {
  readonly gate: Gate;
  readonly feed: RevocationFeed;
  readonly memory: GateMemory;
  /** From now on news also cuts and rechecks these sockets. */
  readonly cutBy: (realtime: Pick<Realtime, "cut" | "recheck">) => void;
  readonly stop: () => Promise<void>;
}

/** Begins to read the feed. Memory is forgotten before sockets are looked at, so that a recheck reads anew. */
export function guardSessions(core: CoreDeps, tokens: AccessTokens): SessionGuard {
  const { clock, log, db, directUrl } = core;
  let realtime: Pick<Realtime, "cut" | "recheck"> | undefined;
  const memory = new GateMemory({ clock, load: (sessionId) => selectSessionState(db, sessionId) });
  const onFailure = (error: unknown): void => log.error({ error }, "sockets could not be cut or rechecked");
  const revoked = (revocation: Revocation): void => {
    memory.forget(revocation.subject);
    if (revocation.reason === "account.changed") realtime?.recheck(revocation.subject).catch(onFailure);
    else realtime?.cut(revocation).catch(onFailure);
  };
  const reset = (): void => {
    // Sockets need no more than this: each asks the gate again within a second, and the gate then reads anew.
    memory.forgetAll();
  };
  const feed = new RevocationFeed({ databaseUrl: directUrl, clock, log, listener: { revoked, reset } });
  feed.start();
  const seen = new SeenSessions({ db, clock, log });
  seen.start();
  return {
    gate: createGate({ tokens, feed, memory, seen, recordUse: createRecordUse(core), admitsVisitors: core.config.publicProfiles, log }),
    feed,
    memory,
    cutBy: (sockets) => {
      realtime = sockets;
    },
    stop: async () => {
      await Promise.all([feed.stop(), seen.stop()]);
    },
  };
}
