/** Phase: expand. Locks: none on existing tables. Safe with the old version: it does not know the table. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    -- The development mailbox: mail that was "sent" on a machine without a mail server. Stays empty in production.
    create table mailbox (
      message_id text primary key,
      recipient text not null,
      subject text not null,
      text_body text not null,
      html_body text not null,
      sent_at timestamptz not null default now()
    );
    create index mailbox_newest on mailbox (sent_at desc, message_id desc);
  `);
}
