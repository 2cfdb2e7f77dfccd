/** The development driver: mail is kept in a table, which the processes of one machine share, and read at `/mailbox`. */

import type { Db } from "#src/db/pool";
import type { Mail } from "./mail.ts";
import { keepMessage } from "./mailbox.sql.ts";

interface Needs {
  readonly db: Db;
  readonly config: { readonly production: boolean };
}

/** @throws Error under NODE_ENV=production: mail that nobody gets is worse than a process that does not start */
export function openMailbox(needs: Needs): Mail {
  refuseInProduction(needs);
  return { send: (message) => keepMessage(needs.db, message) };
}

/** @throws Error under NODE_ENV=production */
export function refuseInProduction(needs: Pick<Needs, "config">): void {
  if (needs.config.production) throw new Error("the development mailbox is not for NODE_ENV=production");
}
