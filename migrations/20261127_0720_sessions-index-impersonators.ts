/** Phase: expand. Locks: none that stop writes; built concurrently. Safe with the old version: it does not know the index. */
import type { Knex } from "knex";

export const config = { transaction: false };

export async function up(knex: Knex): Promise<void> {
  // What a build that failed has left is no index.
  await knex.raw("drop index concurrently if exists sessions_impersonator");
  await knex.raw(
    "create index concurrently sessions_impersonator on sessions (impersonator_id, created_at) where impersonator_id is not null",
  );
}
