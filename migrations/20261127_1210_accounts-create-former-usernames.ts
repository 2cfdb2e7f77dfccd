/** Phase: expand. Locks: ACCESS EXCLUSIVE on users for a moment, for the triggers and a column whose default rewrites nothing. Safe with the old version: it changes no name, and a name that is kept for somebody is refused to it as one that is taken. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    -- Links, pronouns, place and zone; its shape is in code. No check: one would read the whole table under the lock.
    alter table users add column details jsonb not null default '{}';

    -- A row for each name that was left. No reference to users: a name stays kept when its account is gone.
    create table former_usernames (
      id uuid primary key,
      user_id uuid not null,
      username text not null,
      left_at timestamptz not null default now(),
      -- Until then nobody else gets the name; 'infinity' keeps it for ever.
      kept_until timestamptz not null
    );
    create index former_usernames_name on former_usernames (lower(username) collate "C", kept_until desc);
    create index former_usernames_user on former_usernames (user_id, left_at desc);

    -- After the write, and volatile: who waited for the unique key sees what the other transaction has left by then.
    create function refuse_kept_usernames() returns trigger
    language plpgsql set search_path = '$user', 'public' as $$
    begin
      if exists (
        select from written w
        join former_usernames f on lower(f.username) collate "C" = lower(w.username) collate "C"
        left join users owner on owner.id = f.user_id
        where f.user_id <> w.id and (f.kept_until > statement_timestamp() or owner.status = 'erased')
      ) then
        raise exception 'the name is kept for who left it' using errcode = 'unique_violation', constraint = 'users_username_key', table = 'users';
      end if;
      return null;
    end
    $$;
    create trigger users_kept_usernames_insert after insert on users
      referencing new table as written for each statement execute function refuse_kept_usernames();

    create function refuse_kept_username() returns trigger
    language plpgsql set search_path = '$user', 'public' as $$
    begin
      if exists (
        select from former_usernames f
        left join users owner on owner.id = f.user_id
        where lower(f.username) collate "C" = lower(new.username) collate "C"
          and f.user_id <> new.id and (f.kept_until > statement_timestamp() or owner.status = 'erased')
      ) then
        raise exception 'the name is kept for who left it' using errcode = 'unique_violation', constraint = 'users_username_key', table = 'users';
      end if;
      return null;
    end
    $$;
    create trigger users_kept_usernames_update after update of username on users
      for each row when (lower(old.username) is distinct from lower(new.username)) execute function refuse_kept_username();
  `);
}
