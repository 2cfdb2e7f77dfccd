/** Phase: expand. Locks: none on existing tables. Safe with the old version: it does not know the view. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    -- An account as staff see it. The planner looks through it: the counts are made for the rows that are shown.
    create view admin_accounts as
    select u.id, u.username, u.email, u.email_verified_at, u.display_name, u.avatar_url, u.bio, u.roles, u.created_at, u.updated_at,
      s.status as current_status, t.confirmed_at as totp_confirmed_at, c.user_id is not null as has_password,
      (select count(*)::int from passkeys p where p.user_id = u.id) as passkeys,
      (select count(*)::int from sessions x where x.user_id = u.id and x.revoked_at is null and x.expires_at > now()) as sessions
    from users u
    join user_standings s on s.user_id = u.id
    left join totp_factors t on t.user_id = u.id
    left join credentials c on c.user_id = u.id
  `);
}
