/** Phase: expand. Locks: none on existing tables. Safe with the old version: it does not know the function. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    -- Someone's counters as a viewer may be told them: without those who block the viewer, whom no list shows the viewer either. Else a
    -- counter less the list would tell who does. One probe of blocks_blocked, and two of a key of follows for each of them. Whom more
    -- than 500 people block is told no counters but their own (null). Inlined by the planner.
    create function follow_totals_seen_by(viewer uuid, person uuid) returns table (followers bigint, following bigint)
    language sql stable as $$
      select case when hidden.blockers <= 500 or person = viewer then t.followers - hidden.followers end,
        case when hidden.blockers <= 500 or person = viewer then t.following - hidden.following end
      from follow_totals(person) t
      cross join lateral (
        select count(*) as blockers,
          count(*) filter (where
            (select f.state = 'accepted' from follows f where f.follower_id = b.blocker_id and f.followee_id = person)) as followers,
          count(*) filter (where
            (select f.state = 'accepted' from follows f where f.follower_id = person and f.followee_id = b.blocker_id)) as following
        from (select blocker_id from blocks where blocked_id = viewer limit 501) b
      ) hidden
    $$;
  `);
}
