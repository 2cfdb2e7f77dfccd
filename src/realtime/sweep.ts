/**
 * Goes round all connections of this process once in 0.8 s: asks the gate again, warns of ending tokens, cuts what is over
 * or does not read. So a suspension that begins by itself is enforced within a second, with no worker and no timer per socket.
 */

import type { Socket } from "socket.io";
import type { Gate } from "#src/kernel/actor";
import { accountOrLook } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { askAgain, connectionOf, type Connection } from "./connection.ts";
import { isSessionOver } from "./dispatch.ts";
import { tokenExpiring } from "./server-events.ts";

interface Needs {
  readonly sockets: ReadonlyMap<string, Socket>;
  readonly gate: Gate;
  readonly clock: Clock;
  readonly log: Log;
  readonly onRefused: (connection: Connection, problem: Problem) => void;
  readonly onExpired: (connection: Connection) => void;
  readonly onSlow: (connection: Connection) => void;
}

const TICK_MS = 50;
/** A round is this many ticks, so that with a late timer it still takes less than a second. */
const TICKS_A_ROUND = 16;
const WARN_BEFORE_MS = 60_000;
/** Packets that may wait for a client that does not read. */
const MOST_UNSENT = 1_000;

/** Started at once; runs until stopped. Keeps no process alive. */
export class Sweep {
  readonly #needs: Needs;
  readonly #timer: NodeJS.Timeout;
  #round: Iterator<Socket> | undefined;
  #isBusy = false;

  constructor(needs: Needs) {
    this.#needs = needs;
    this.#timer = setInterval(() => void this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** A tick that finds the one before still at work (a gate that waits for the database) leaves the round where it is. */
  async #tick(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    const share = Math.ceil(this.#needs.sockets.size / TICKS_A_ROUND);
    await Promise.all(this.#next(share).map((connection) => this.#look(connection)));
    this.#isBusy = false;
  }

  #next(share: number): Connection[] {
    const found: Connection[] = [];
    this.#round ??= this.#needs.sockets.values();
    for (let count = 0; count < share; count += 1) {
      const { done, value } = this.#round.next();
      if (done === true) {
        this.#round = undefined;
        break;
      }
      const connection = connectionOf(value);
      if (connection !== undefined && !connection.isCut) found.push(connection);
    }
    return found;
  }

  async #look(connection: Connection): Promise<void> {
    if (unsentPackets(connection.socket) > MOST_UNSENT) return this.#needs.onSlow(connection);
    const leftMs = connection.actor.tokenExpiresAt.getTime() - this.#needs.clock.now().getTime();
    if (leftMs <= 0) return this.#needs.onExpired(connection);
    if (leftMs <= WARN_BEFORE_MS) this.#warn(connection, leftMs);
    await recheck(this.#needs, connection);
  }

  #warn(connection: Connection, leftMs: number): void {
    if (connection.warnedFor === connection.accessToken) return;
    connection.warnedFor = connection.accessToken;
    const expiresAt = connection.actor.tokenExpiresAt.toISOString();
    connection.socket.emit(tokenExpiring.name, { expiresAt, secondsLeft: Math.ceil(leftMs / 1000) });
  }
}

/** Asks the gate about a connection again. An answer that is no answer (the database is away) changes nothing. */
export async function recheck(needs: Pick<Needs, "gate" | "log" | "onRefused">, connection: Connection): Promise<void> {
  try {
    await askAgain(needs.gate, connection, accountOrLook);
  } catch (error) {
    if (!(error instanceof Problem)) needs.log.error({ error: String(error) }, "a connection could not be rechecked");
    else if (isSessionOver(error)) needs.onRefused(connection, error);
  }
}

function unsentPackets(socket: Socket): number {
  return (socket.conn as unknown as { readonly writeBuffer: readonly unknown[] }).writeBuffer.length;
}
