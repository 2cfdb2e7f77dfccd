/** Phase: expand. Locks: none on existing tables. Safe with the old version: it does not know what is made here. The role needs CREATE on the database, once, for the extension (it is trusted: no superuser). */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    create extension if not exists pg_trgm;

    -- A name without case and accents. By Unicode's own decomposition, which never changes for a character that is there, and not
    -- by the extension unaccent: its rules are a file of the server, differ between versions, and an index over them would be
    -- wrong after an update. What has no decomposition is spelled out. Nothing but marks stays as it is, so that nothing folds
    -- to nothing. Cut so that it fits an index: decomposed a name may be twice as long. Capitals
    -- of what is spelled out are made small first, and the sigmas one: no collation is relied upon. ASCII the short way. Inlined
    -- by the planner. Calls nothing outside pg_catalog: indexes are built with no other schema in sight.
    create function name_fold(name text) returns text
    language sql immutable as $$
      select case when octet_length(name) = length(name) then lower(left(name, 300)) else coalesce(
        nullif(
          lower(replace(replace(replace(translate(
            left(regexp_replace(normalize(name, NFD), '[\\u0300-\\u036f]', '', 'g'), 300),
            'øØłŁđĐðÐħĦıŧŦÆŒẞΣς', 'oOlLdDdDhHitTæœßσσ'
          ), 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe')),
          ''
        ),
        lower(name)
      ) end
    $$;

    -- Whom somebody does not want suggested, and until when.
    create table suggestion_dismissals (
      user_id uuid not null,
      dismissed_id uuid not null,
      until timestamptz not null,
      primary key (user_id, dismissed_id),
      check (user_id <> dismissed_id)
    );
    create index suggestion_dismissals_until on suggestion_dismissals (until);

    -- Whether somebody may be suggested to a viewer: found by them, tied to them by no edge, standing or ended, neither muted nor
    -- dismissed. Probes of keys alone: a scalar of the planner's own, no join.
    create function suggestible_to(viewer uuid, viewer_role text, candidate uuid) returns boolean
    language sql stable as $$
      select candidate <> viewer
        and not exists (select from follows f where f.follower_id = viewer and f.followee_id = candidate)
        and not exists (select from mutes m where m.muter_id = viewer and m.muted_id = candidate and (m.until is null or m.until > statement_timestamp()))
        and not exists (
          select from suggestion_dismissals d where d.user_id = viewer and d.dismissed_id = candidate and d.until > statement_timestamp()
        )
        and coalesce((select p.findable from people_seen_by(viewer, viewer_role) p where p.id = candidate), false)
    $$;
  `);
}
