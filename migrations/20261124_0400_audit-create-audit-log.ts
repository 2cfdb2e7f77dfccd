/** Phase: expand. Locks: none on existing tables. Safe with the old version: it does not know the tables. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    -- Who decided what about whom. Ids, codes and hashes only, so that a row can be kept when its subject is erased; for
    -- the same reason no foreign key to users.
    create table audit_log (
      id uuid primary key,
      at timestamptz not null default now(),
      actor_id uuid,
      action text not null check (action ~ '^[a-z_]+\\.[a-z_]+$'),
      subject_id uuid not null,
      facts jsonb not null default '{}' check (jsonb_typeof(facts) = 'object'),
      -- SHA-256 of audit_details.content as stored: what was said stays provable after it is erased.
      details_hash bytea check (octet_length(details_hash) = 32)
    );

    -- What was said: personal text, apart from the log so that it can be destroyed. key_id null: content is UTF-8 JSON;
    -- else it is that JSON under the key of user_id with this id.
    create table audit_details (
      audit_id uuid primary key references audit_log (id),
      user_id uuid not null,
      key_id uuid,
      content bytea not null
    );
    create index audit_details_user on audit_details (user_id);

    create function refuse_change() returns trigger language plpgsql as $$
    begin
      raise exception '% on % is refused: rows are only added', tg_op, tg_table_name using errcode = 'insufficient_privilege';
    end
    $$;

    create trigger audit_log_append_only before update or delete on audit_log for each row execute function refuse_change();
    create trigger audit_log_no_truncate before truncate on audit_log for each statement execute function refuse_change();
    -- Details may go (erasure), never change.
    create trigger audit_details_unchanged before update on audit_details for each row execute function refuse_change();
  `);
}
