/** What the social features need in tests: a database, statements counted, and what no route does yet: restricting and blocking by SQL. */

import { closeDb, openDb, type Db } from "#src/db/pool";
import { affected, row, sql } from "#src/db/sql";
import type { Actor, Capability, Role } from "#src/kernel/actor";
import { silentLog } from "#src/kernel/log";
import { cloneDatabase } from "./database.ts";

/** A pool on a database of the test's own. */
export interface SocialKit extends AsyncDisposable {
  readonly db: Db;
  /** Pictures may be anywhere; limits are on. */
  readonly config: { readonly avatarHosts: readonly string[] | undefined; readonly rateLimits: boolean };
  readonly adminUrl: string;
  /** Statements and transactions run on the pool while `work` ran. */
  readonly statements: (work: () => Promise<unknown>) => Promise<number>;
}

export async function socialKit(options: { readonly maxConnections?: number } = {}): Promise<SocialKit> {
  const database = await cloneDatabase();
  let count = 0;
  const db = openDb({
    url: database.url,
    maxConnections: options.maxConnections ?? 5,
    applicationName: "test",
    log: silentLog,
    acquireTimeoutMs: 20_000,
    statementTimeoutMs: 20_000,
    onQuery: () => {
      count += 1;
    },
  });
  return {
    db,
    config: { avatarHosts: undefined, rateLimits: true },
    adminUrl: database.adminUrl,
    statements: async (work) => {
      const before = count;
      await work();
      return count - before;
    },
    [Symbol.asyncDispose]: async () => {
      await closeDb(db);
      await database[Symbol.asyncDispose]();
    },
  };
}

/** Someone as the gate would have admitted them. */
export function actorOf(
  person: { readonly id: string },
  more: { readonly role?: Role; readonly restricted?: boolean; readonly limited?: readonly Capability[] } = {},
): Actor {
  return {
    userId: person.id as Actor["userId"],
    sessionId: "00000000-0000-7000-8000-000000000000" as Actor["sessionId"],
    role: more.role ?? "user",
    restricted: more.restricted ?? false,
    limited: new Set(more.limited),
    tokenExpiresAt: new Date("2100-01-01T00:00:00Z"),
  };
}

/** A standing as setStatus would have written it. */
export async function restrict(
  db: Db,
  person: { readonly id: string },
  standing: { readonly status?: "active" | "suspended" | "banned" | "deactivated" | "erased"; readonly limited?: readonly Capability[] },
): Promise<void> {
  await affected(
    db,
    sql`update users set status = ${standing.status ?? "active"}, limited = ${[...(standing.limited ?? [])]}::text[] where id = ${person.id}::uuid`,
  );
}

/** The bare row, as a moderator at a console might write it. */
export async function block(db: Db, blocker: { readonly id: string }, blocked: { readonly id: string }): Promise<void> {
  await affected(
    db,
    sql`insert into blocks (blocker_id, blocked_id) values (${blocker.id}::uuid, ${blocked.id}::uuid) on conflict do nothing`,
  );
}

/** What was read of a table so far: rows by sequential scans, rows through indexes, and pages of its indexes. */
export interface TableReads {
  readonly sequential: number;
  readonly index: number;
  readonly indexPages: number;
}

/** The reads of a table up to now. The pool must have one connection: statistics are flushed by who made them. */
export async function readsOf(db: Db, table: string): Promise<TableReads> {
  await row(db, sql`select pg_stat_force_next_flush()`);
  const read = await row<TableReads>(
    db,
    sql`select t.seq_tup_read as sequential, sum(i.idx_tup_read)::bigint as index, sum(io.idx_blks_hit + io.idx_blks_read)::bigint as "indexPages"
        from pg_stat_user_tables t
        join pg_stat_user_indexes i on i.relid = t.relid
        join pg_statio_user_indexes io on io.indexrelid = i.indexrelid
        where t.relname = ${table} group by t.seq_tup_read`,
  );
  if (read === undefined) throw new Error(`no statistics of ${table}`);
  return read;
}
