/** Being one of those who use the server: a connection that holds a lock, and so ends with its process, however that ends. */

import { Socket } from "node:net";
import pg from "pg";
import { delay } from "#src/kernel/clock";
import { ADMIN_ROLE } from "./cluster.ts";

/** How to reach the server's housekeeping database. */
export interface Access {
  readonly port: number;
  readonly password: string;
}

/** Advisory lock of all members, shared; whoever gets it exclusively is alone. Any number that nothing else uses. */
const MEMBERS = 7_305_401;
/** On loopback, to a server that says it is ready. One that lets this pass is stuck. */
const CONNECT_WITHIN_MS = 4_000;
const GOODBYE_WITHIN_MS = 500;

/** The role and the database of the service. */
export const SERVICE_ROLE = "user_service";
export const SERVICE_DATABASE = "videa_mozi_users";

/** One member's connection. */
export class Member {
  readonly #client: pg.Client;
  readonly #socket: Socket;
  #lost = false;

  private constructor(access: Access) {
    this.#socket = new Socket();
    this.#client = new pg.Client({
      host: "127.0.0.1",
      port: access.port,
      user: ADMIN_ROLE,
      password: access.password,
      database: "postgres",
      application_name: "user-service member",
      connectionTimeoutMillis: CONNECT_WITHIN_MS,
      query_timeout: CONNECT_WITHIN_MS,
      stream: () => this.#socket,
    });
  }

  /**
   * Joins the members. A session lock fits here, though the service has none elsewhere: this connection passes no pooler,
   * and a lock that falls with its holder is the point. `onLost` is called once if the server goes away.
   */
  static async join(access: Access, onLost: () => void): Promise<Member> {
    const member = new Member(access);
    const client = member.#client;
    const lose = (): void => {
      if (member.#lost) return;
      member.#lost = true;
      onLost();
    };
    // Without a listener a connection that breaks ends the process.
    client.on("error", lose);
    try {
      await client.connect();
      await client.query("SELECT pg_advisory_lock_shared($1)", [MEMBERS]);
      await ensureServiceDatabase(client, access.password);
    } catch (error) {
      member.#lost = true;
      await member.#disconnect();
      throw error;
    }
    client.on("end", lose);
    return member;
  }

  /** Gives the membership up; "last" when nobody else is a member. Call under the file lock, so that nobody joins meanwhile. */
  async leave(): Promise<"last" | "others-stay" | "server-gone"> {
    if (this.#lost) return "server-gone";
    this.#lost = true;
    try {
      await this.#client.query("SELECT pg_advisory_unlock_shared($1)", [MEMBERS]);
      const { rows } = await this.#client.query<{ alone: boolean }>("SELECT pg_try_advisory_lock($1) AS alone", [MEMBERS]);
      return rows[0]?.alone === true ? "last" : "others-stay";
    } catch {
      return "server-gone";
    } finally {
      await this.#disconnect();
    }
  }

  /** Says goodbye, but does not wait for a server that is stopped or stuck to hear it. */
  async #disconnect(): Promise<void> {
    const waiting = new AbortController();
    const goodbye = this.#client.end().catch(() => {});
    await Promise.race([goodbye, delay(GOODBYE_WITHIN_MS, waiting.signal)]);
    waiting.abort();
    this.#socket.destroy();
  }
}

/** Role and database of the service, as a deployment would have them: the service is no superuser. Under the file lock. */
async function ensureServiceDatabase(client: pg.Client, password: string): Promise<void> {
  const { rows } = await client.query<{ role: boolean; database: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS role, EXISTS (SELECT FROM pg_database WHERE datname = $2) AS database`,
    [SERVICE_ROLE, SERVICE_DATABASE],
  );
  // No bind parameters in DDL; both names are constants and the password is hexadecimal, quoted all the same.
  if (rows[0]?.role !== true) await client.query(`CREATE ROLE ${SERVICE_ROLE} LOGIN PASSWORD ${client.escapeLiteral(password)}`);
  if (rows[0]?.database !== true) await client.query(`CREATE DATABASE ${SERVICE_DATABASE} OWNER ${SERVICE_ROLE}`);
}
