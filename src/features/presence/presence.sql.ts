/** Every statement on `pods`, `connections`, `presence_states` and `last_seen`. */

import type { Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import type { Actor } from "#src/kernel/actor";

export type Status = "online" | "away" | "offline";

/** One person's presence as it may be shown: restricted people are offline. */
export interface PresenceRow {
  readonly user_id: string;
  readonly status: Status;
  readonly seen_at: Date | null;
  readonly seq: number;
}

/** A connection as its row says. */
export interface ConnectionRow {
  readonly id: string;
  readonly userId: string;
  readonly status: "online" | "away";
}

/** Writes or renews this process's lease. False: there was no row, so everything of this process must be written again. */
export async function renewLease(tx: Tx, podId: string, leaseMs: number): Promise<boolean> {
  const renewed = await row<{ was_known: boolean }>(
    tx,
    sql`insert into pods (id, lease_until) values (${podId}::uuid, clock_timestamp() + ${leaseMs}::int * interval '1 ms')
        on conflict (id) do update set lease_until = excluded.lease_until
        returning xmax <> 0 as was_known`,
  );
  return renewed?.was_known === true;
}

/** Whether this process's row is there; it stays until the transaction ends, so whoever takes over the dead waits for us. */
export async function holdPod(tx: Tx, podId: string): Promise<boolean> {
  return (await row(tx, sql`select id from pods where id = ${podId}::uuid for key share`)) !== undefined;
}

/** Removes the rows of processes whose lease has run out. Those that another process is removing are left to it. */
export async function takeDeadPods(tx: Tx): Promise<string[]> {
  const dead = await rows<{ id: string }>(
    tx,
    sql`delete from pods where id in (select id from pods where lease_until < clock_timestamp() order by id for update skip locked) returning id`,
  );
  return dead.map(({ id }) => id);
}

/** Who is connected to these processes. */
export async function usersOfPods(tx: Tx, podIds: readonly string[]): Promise<string[]> {
  const found = await rows<{ user_id: string }>(tx, sql`select distinct user_id from connections where pod_id = any (${podIds}::uuid[])`);
  return found.map((one) => one.user_id);
}

export async function deleteConnectionsOfPods(tx: Tx, podIds: readonly string[]): Promise<void> {
  await affected(tx, sql`delete from connections where pod_id = any (${podIds}::uuid[])`);
}

/**
 * Locks the states of these users, made where missing, in the order of their ids (line 7 of the lock order). Whoever
 * changes connections holds them, so of two processes the later one sees what the earlier one wrote.
 */
export async function lockStates(tx: Tx, userIds: readonly string[]): Promise<void> {
  await affected(
    tx,
    sql`insert into presence_states (user_id, status, seq)
        select id, 'offline', 0 from unnest(${userIds}::uuid[]) as id order by id
        on conflict do nothing`,
  );
  await rows(tx, sql`select user_id from presence_states where user_id = any (${userIds}::uuid[]) order by user_id for update`);
}

export async function putConnections(tx: Tx, podId: string, connections: readonly ConnectionRow[]): Promise<void> {
  const [ids, userIds, statuses] = [
    connections.map(({ id }) => id),
    connections.map(({ userId }) => userId),
    connections.map(({ status }) => status),
  ];
  await affected(
    tx,
    sql`insert into connections (id, user_id, pod_id, status)
        select c.id, c.user_id, ${podId}::uuid, c.status
        from unnest(${ids}::text[], ${userIds}::uuid[], ${statuses}::text[]) as c (id, user_id, status)
        on conflict (id) do update set status = excluded.status`,
  );
}

export async function deleteConnections(tx: Tx, ids: readonly string[]): Promise<void> {
  await affected(tx, sql`delete from connections where id = any (${ids}::text[])`);
}

/**
 * Brings the states of these users in line with their connections. `seq` is the time in microseconds, or one more than
 * before: it grows even when the unlogged table was emptied in between. Call it under `lockStates`, in a statement of its own.
 */
export async function settleStates(tx: Tx, userIds: readonly string[]): Promise<void> {
  await affected(
    tx,
    sql`update presence_states s set
          status = n.status,
          seq = greatest(s.seq + 1, (extract(epoch from clock_timestamp()) * 1000000)::bigint),
          xact_id = pg_current_xact_id()
        from (
          select i.id,
            case when bool_or(c.status = 'online') then 'online' when bool_or(c.status = 'away') then 'away' else 'offline' end as status
          from unnest(${userIds}::uuid[]) as i (id)
          left join connections c on c.user_id = i.id
          group by i.id
        ) n
        where s.user_id = n.id and s.status <> n.status`,
  );
}

/** Moments never go back. People whose account is gone meanwhile are left out. */
export async function writeLastSeen(tx: Tx, seen: readonly { readonly userId: string; readonly at: Date }[]): Promise<void> {
  const [userIds, moments] = [seen.map(({ userId }) => userId), seen.map(({ at }) => at)];
  await affected(
    tx,
    sql`insert into last_seen as l (user_id, seen_at)
        select u.id, max(s.seen_at)
        from unnest(${userIds}::uuid[], ${moments}::timestamptz[]) as s (user_id, seen_at)
        join users u on u.id = s.user_id
        group by u.id order by u.id
        on conflict (user_id) do update set seen_at = excluded.seen_at where l.seen_at < excluded.seen_at`,
  );
}

/** The presence of these people as anybody who may see it sees it; those without account are left out. Primary keys only. */
export async function selectPresence(on: Db | Tx, userIds: readonly string[]): Promise<PresenceRow[]> {
  return await rows<PresenceRow>(
    on,
    sql`select u.id as user_id, coalesce(p.seq, 0) as seq,
          case when st.status = 'active' then coalesce(p.status, 'offline') else 'offline' end as status,
          case when st.status = 'active' then l.seen_at end as seen_at
        from users u
        join user_standings st on st.user_id = u.id
        left join presence_states p on p.user_id = u.id
        left join last_seen l on l.user_id = u.id
        where u.id = any (${userIds}::uuid[])`,
  );
}

/** How much one viewer sees of one person. */
export interface SightRow {
  readonly viewer_id: string;
  readonly target_id: string;
  readonly watchable: boolean;
  /** The profile. */
  readonly whole: boolean;
}

/** What these viewers see of these people: what `decide` says for "watch" and "view_profile", said by the SQL half of the policy. */
export async function selectSight(
  db: Db,
  viewers: readonly Pick<Actor, "userId" | "role">[],
  userIds: readonly string[],
): Promise<SightRow[]> {
  const [ids, roles] = [viewers.map(({ userId }) => userId), viewers.map(({ role }) => role)];
  return await rows<SightRow>(
    db,
    sql`select v.id as viewer_id, p.id as target_id, p.watchable, p.whole
        from unnest(${ids}::uuid[], ${roles}::text[]) as v (id, role)
        cross join lateral people_seen_by(v.id, v.role) p
        where p.id = any (${userIds}::uuid[])`,
  );
}

/** Where the reading of changes stands: everything visible in this snapshot has been read. */
export async function currentSnapshot(db: Db): Promise<string> {
  const found = await row<{ snapshot: string }>(db, sql`select pg_current_snapshot()::text as snapshot`);
  if (found === undefined) throw new Error("a database without snapshot");
  return found.snapshot;
}

/** Between whom sight changed; with nobody in particular where `otherId` is null. */
export interface Tie {
  readonly oneId: string;
  readonly otherId: string | null;
}

interface Changes {
  readonly userIds: string[];
  readonly ties: Tie[];
  readonly snapshot: string;
}

/**
 * Who changed since, and between whom sight did: visible now and not then, so a transaction that commits late is neither
 * skipped nor told twice. One statement: a state of after a change of sight is never read before it. Served by
 * presence_states_xact and tie_changes_xact; the left join makes it answer where it stands even when nothing changed.
 */
export async function selectChanged(db: Db, since: string): Promise<Changes> {
  const found = await rows<{ snapshot: string; user_id: string | null; one_id: string | null; other_id: string | null }>(
    db,
    sql`select pg_current_snapshot()::text as snapshot, c.user_id, c.one_id, c.other_id
        from (values (1)) one
        left join (
          select s.user_id, null::uuid as one_id, null::uuid as other_id from presence_states s
          where s.xact_id >= pg_snapshot_xmin(${since}::pg_snapshot) and not pg_visible_in_snapshot(s.xact_id, ${since}::pg_snapshot)
          union all
          select null, t.one_id, t.other_id from tie_changes t
          where t.xact_id >= pg_snapshot_xmin(${since}::pg_snapshot) and not pg_visible_in_snapshot(t.xact_id, ${since}::pg_snapshot)
        ) c on true`,
  );
  return {
    userIds: found.flatMap((row) => row.user_id ?? []),
    ties: found.flatMap((row) => (row.one_id === null ? [] : [{ oneId: row.one_id, otherId: row.other_id }])),
    snapshot: found[0]?.snapshot ?? since,
  };
}

/** Makes those of these people offline who have no state: after a reset nobody has spoken for them. */
export async function insertMissingStates(tx: Tx, userIds: readonly string[]): Promise<void> {
  await affected(
    tx,
    sql`insert into presence_states (user_id, status, seq)
        select id, 'offline', (extract(epoch from clock_timestamp()) * 1000000)::bigint from unnest(${userIds}::uuid[]) as id order by id
        on conflict do nothing`,
  );
}

/** Figures over all processes. */
export async function selectTotals(db: Db): Promise<{ readonly processes: number; readonly connections: number; readonly users: number }> {
  const found = await row<{ processes: number; connections: number; users: number }>(
    db,
    sql`select (select count(*) from pods where lease_until > now()) as processes, count(*) as connections, count(distinct user_id) as users from connections`,
  );
  return found ?? { processes: 0, connections: 0, users: 0 };
}
