/** Every read and write of `declared_restrictions`. */

import type { Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import type { Declared, DeclarationName, DeclaredRow } from "./declared.rows.ts";
import type { WishBody } from "./declared.schemas.ts";

/** Before all rows (line 1 of the lock order): whoever decides about a declaration, of whatever incarnation, waits here. */
export async function lockDeclaration(tx: Tx, { source, externalId }: DeclarationName): Promise<void> {
  await affected(tx, sql`select pg_advisory_xact_lock(hashtextextended(${`declared:${source}:${externalId}`}, 0))`);
}

/** Line 1 too, after the declaration: of two that wait for one address the second must see the first. */
export async function lockAddress(tx: Tx, emailHash: string): Promise<void> {
  await affected(tx, sql`select pg_advisory_xact_lock(hashtextextended(${`declared-address:${emailHash}`}, 0))`);
}

/** A consumer's transaction is not durable by itself; an acknowledged ban must be. */
export async function makeDurable(tx: Tx): Promise<void> {
  await affected(tx, sql`select set_config('synchronous_commit', 'on', true)`);
}

/**
 * What is known of a declaration: the incarnation `uid`, a live other one, and the newest of the ended others, as far as
 * there are such. Served by the primary key; incarnations of one name are as many as its deletions in 30 days.
 */
export async function selectDeclared(on: Db | Tx, { source, externalId }: DeclarationName, uid: string): Promise<Declared[]> {
  return await rows<Declared>(
    on,
    sql`select d.*, r.starts_at, r.expires_at, r.lifted_at, date_trunc('milliseconds', clock_timestamp()) as now
        from declared_restrictions d left join restrictions r on r.id = d.restriction_id
        where d.source = ${source} and d.external_id = ${externalId}
        order by d.uid = ${uid} desc, d.ended_at is null desc, d.object_created_at desc
        limit 3`,
  );
}

/** The live ones of a source, by external id. Served by declared_restrictions_live. */
export async function selectLivePage(
  on: Db,
  page: { readonly source: string; readonly after: string; readonly limit: number },
): Promise<Declared[]> {
  return await rows<Declared>(
    on,
    sql`select d.*, r.starts_at, r.expires_at, r.lifted_at, date_trunc('milliseconds', clock_timestamp()) as now
        from declared_restrictions d left join restrictions r on r.id = d.restriction_id
        where d.source = ${page.source} and d.ended_at is null and d.external_id > ${page.after}
        order by d.external_id
        limit ${page.limit}`,
  );
}

/**
 * The oldest other live declaration that restricts or will restrict the account; one whose term is over does not, one
 * that somebody lifted will again. Holds while the account's row is locked. Served by declared_restrictions_user.
 */
export async function selectRival(tx: Tx, userId: string, own: DeclarationName): Promise<DeclaredRow | undefined> {
  return await row<DeclaredRow>(
    tx,
    sql`select d.* from declared_restrictions d join restrictions r on r.id = d.restriction_id
        where d.user_id = ${userId}::uuid and d.ended_at is null
          and (r.expires_at is null or r.expires_at > clock_timestamp())
          and not (d.source = ${own.source} and d.external_id = ${own.externalId})
        order by d.created_at limit 1`,
  );
}

/** Another declaration that waits for the same address, and still has something to impose. Holds while the address is locked. */
export async function selectWaitingRival(tx: Tx, emailHash: string, own: DeclarationName): Promise<DeclaredRow | undefined> {
  return await row<DeclaredRow>(
    tx,
    sql`select d.* from declared_restrictions d
        where d.email_hash = decode(${emailHash}, 'hex') and d.ended_at is null
          and coalesce((d.wish ->> 'expiresAt')::timestamptz > clock_timestamp(), true)
          and not (d.source = ${own.source} and d.external_id = ${own.externalId})
        order by d.created_at limit 1`,
  );
}

/** A declaration that has waited, with what it wishes. */
export interface Waiting {
  readonly source: string;
  readonly external_id: string;
  readonly wish: WishBody;
}

/** Those that wait for the address of this account, the oldest first. Served by declared_restrictions_waiting. */
export async function selectWaitingFor(on: Db | Tx, userId: string): Promise<Waiting[]> {
  return await rows<Waiting>(
    on,
    sql`select d.source, d.external_id, d.wish
        from users u join declared_restrictions d on d.email_hash = address_hash(u.email) and d.ended_at is null
        where u.id = ${userId}::uuid
          and coalesce((d.wish ->> 'expiresAt')::timestamptz > clock_timestamp(), true)
        order by d.created_at, d.source, d.external_id`,
  );
}

/**
 * Those that wait although somebody has the address; in no order, so that some which may not be imposed hold up no others.
 * Both sides are served by an index: 40 ms with 2,000 that wait and 200,000 accounts.
 */
export async function selectOverdue(on: Db, limit: number): Promise<Waiting[]> {
  return await rows<Waiting>(
    on,
    sql`select d.source, d.external_id, d.wish
        from declared_restrictions d join users u on address_hash(u.email) = d.email_hash
        where d.email_hash is not null and d.ended_at is null
          and coalesce((d.wish ->> 'expiresAt')::timestamptz > clock_timestamp(), true)
        order by random() limit ${limit}`,
  );
}

/** What a `PUT` leaves: of a known account, or (`emailHash` and `wish`) waiting for one. */
export interface LiveDeclaration extends DeclarationName {
  readonly uid: string;
  readonly generation: number;
  readonly createdAt: Date;
  readonly contentHash: Buffer;
  readonly referenceHash: Buffer;
  readonly userId: string | null;
  readonly emailHash: string | null;
  readonly wish: WishBody | null;
  readonly restrictionId: string | null;
  readonly firstEnforcedAt: Date | null;
  /** Added to those before. */
  readonly sessionsRevoked: number;
}

/** Line 5 of the lock order. The caller holds the declaration, and has ended another incarnation of it. */
export async function writeLive(tx: Tx, live: LiveDeclaration): Promise<Declared> {
  const wish = live.wish === null ? null : JSON.stringify(live.wish);
  const written = await row<Declared>(
    tx,
    sql`with written as (
        insert into declared_restrictions as d (source, external_id, uid, object_created_at, generation, content_hash, reference_hash,
          user_id, email_hash, wish, restriction_id, first_enforced_at, sessions_revoked)
        values (${live.source}, ${live.externalId}, ${live.uid}, ${live.createdAt}, ${live.generation}, ${live.contentHash}, ${live.referenceHash},
          ${live.userId}::uuid, decode(${live.emailHash}, 'hex'), ${wish}::jsonb, ${live.restrictionId}::uuid, ${live.firstEnforcedAt},
          ${live.sessionsRevoked})
        on conflict (source, external_id, uid) do update set
          generation = excluded.generation, content_hash = excluded.content_hash, reference_hash = excluded.reference_hash,
          user_id = excluded.user_id, email_hash = excluded.email_hash, wish = excluded.wish, restriction_id = excluded.restriction_id,
          first_enforced_at = excluded.first_enforced_at, sessions_revoked = d.sessions_revoked + excluded.sessions_revoked, updated_at = now()
        returning *)
        select d.*, r.starts_at, r.expires_at, r.lifted_at, date_trunc('milliseconds', clock_timestamp()) as now
        from written d left join restrictions r on r.id = d.restriction_id`,
  );
  if (written === undefined) throw new Error("the declaration was not written");
  return written;
}

/** A later version that wishes the same. Line 5 of the lock order. */
export async function writeGeneration(tx: Tx, { source, external_id, uid }: DeclaredRow, generation: number): Promise<void> {
  await affected(
    tx,
    sql`update declared_restrictions set generation = ${generation}, updated_at = now()
        where source = ${source} and external_id = ${external_id} and uid = ${uid}`,
  );
}

/** How an incarnation ended. `firstEnforcedAt` is kept for the record. */
export interface DeclarationEnd extends DeclarationName {
  readonly uid: string;
  readonly generation: number;
  readonly createdAt: Date;
  readonly how: "lifted" | "kept";
  readonly firstEnforcedAt: Date | null;
}

/** Ends an incarnation, known or never seen before. What it waited for is forgotten. Line 5 of the lock order. */
export async function writeEnd(tx: Tx, end: DeclarationEnd): Promise<void> {
  await affected(
    tx,
    sql`insert into declared_restrictions (source, external_id, uid, object_created_at, generation, ended_at, ended_how)
        values (${end.source}, ${end.externalId}, ${end.uid}, ${end.createdAt}, ${end.generation}, now(), ${end.how})
        on conflict (source, external_id, uid) do update set
          generation = excluded.generation, ended_at = excluded.ended_at, ended_how = excluded.ended_how,
          email_hash = null, wish = null, first_enforced_at = ${end.firstEnforcedAt}, updated_at = now()`,
  );
}

/** Sessions that the start of a planned restriction ended, where it was declared. Line 5 of the lock order. */
export async function countRevoked(tx: Tx, restrictionId: string, sessions: number): Promise<void> {
  if (sessions === 0) return;
  await affected(
    tx,
    sql`update declared_restrictions set sessions_revoked = sessions_revoked + ${sessions}::int where restriction_id = ${restrictionId}::uuid`,
  );
}

/** Forgets up to 1,000 incarnations that ended 30 days ago: a fence outlives whoever could still come with an old wish. */
export async function deleteForgotten(db: Db): Promise<number> {
  return await affected(
    db,
    sql`delete from declared_restrictions where (source, external_id, uid) in (
          select source, external_id, uid from declared_restrictions
          where ended_at < now() - interval '30 days' order by ended_at limit 1000
        )`,
  );
}
