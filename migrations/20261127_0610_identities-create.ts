/** Phase: expand. Locks: SHARE ROW EXCLUSIVE on users for a moment, for the foreign key. Safe with the old version: it does not know the table; its password reset and force-reset leave identities be, so name providers in OIDC_PROVIDERS only when every process is new. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    -- Who somebody is at another provider (OpenID Connect). Nothing of the provider's tokens is kept.
    create table identities (
      id uuid primary key,
      -- As OIDC_PROVIDERS names it.
      provider text not null,
      -- Whose word the subject is. A provider that was given another issuer under the same name opens nothing.
      issuer text not null,
      subject text not null,
      user_id uuid not null references users (id) on delete cascade,
      -- What the provider said when it was linked; not followed afterwards.
      email text,
      linked_at timestamptz not null default now(),
      last_used_at timestamptz,
      constraint identities_subject unique (provider, subject)
    );
    create index identities_user on identities (user_id, linked_at);
  `);
}
