/** The state of the in-process sidecar, in PostgreSQL: shared by processes that share the database, empty after its crash. */

import type { Db } from "#src/db/pool";
import { affected, row, sql } from "#src/db/sql";
import { checkStateKey, type Expected, type SidecarState, type StateEntry } from "../port.ts";

/** State over one table. Each call is one statement, so compare and set is one too. */
export function localState(db: Db): SidecarState {
  return {
    get: async (key, signal) => {
      checkStateKey(key);
      return await untilAborted(
        row<StateEntry>(db, sql`select value, etag from sidecar_state where key = ${key} and (expires_at is null or expires_at > now())`),
        signal,
      );
    },
    set: async (key, value, options, signal) => {
      checkStateKey(key);
      const entry = { key, json: JSON.stringify(value), ttlSeconds: options.ttlSeconds ?? null };
      return (await untilAborted(write(db, entry, options.expected), signal)) === 1 ? "set" : "conflict";
    },
    delete: async (key, expected, signal) => {
      checkStateKey(key);
      return await untilAborted(remove(db, key, expected), signal);
    },
  };
}

interface Entry {
  readonly key: string;
  readonly json: string;
  readonly ttlSeconds: number | null;
}

async function write(db: Db, { key, json, ttlSeconds }: Entry, expected: Expected): Promise<number> {
  if (expected === "nothing") {
    // An entry past its time counts as none, whether swept or not.
    return await affected(
      db,
      sql`insert into sidecar_state as s (key, value, expires_at) values (${key}, ${json}::json, now() + make_interval(secs => ${ttlSeconds}))
          on conflict (key) do update set value = excluded.value, etag = gen_random_uuid(), expires_at = excluded.expires_at
          where s.expires_at <= now()`,
    );
  }
  return await affected(
    db,
    sql`update sidecar_state set value = ${json}::json, etag = gen_random_uuid(), expires_at = now() + make_interval(secs => ${ttlSeconds})
        where key = ${key} and etag::text = ${expected.etag} and (expires_at is null or expires_at > now())`,
  );
}

async function remove(db: Db, key: string, expected: "anything" | { readonly etag: string }): Promise<"deleted" | "conflict"> {
  const etag = expected === "anything" ? null : expected.etag;
  const found = await row<{ conflict: boolean }>(
    db,
    sql`with gone as (
          delete from sidecar_state where key = ${key} and (${etag}::text is null or etag::text = ${etag} or expires_at <= now()) returning key
        )
        select not exists (select from gone)
          and exists (select from sidecar_state where key = ${key} and (expires_at is null or expires_at > now())) as conflict`,
  );
  return found?.conflict === true ? "conflict" : "deleted";
}

/** Deletes entries past their time, at most 1,000. Several processes may do it at once. */
export async function sweepState(db: Db): Promise<number> {
  return await affected(
    db,
    sql`delete from sidecar_state where key in (
          select key from sidecar_state where expires_at <= now() order by expires_at limit 1000 for update skip locked
        )`,
  );
}

/** The caller stops waiting when aborted; the statement itself is bounded by the pool's time-outs. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason as Error);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (stop !== undefined) signal.removeEventListener("abort", stop);
  }
}
