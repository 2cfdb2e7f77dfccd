/** Asking for a mail with a link: the same two statements for everybody, so that the answer's time tells nobody who has an account. */

import { enqueue, type JobKind } from "#src/jobs/enqueue";
import type { Tx } from "#src/db/tx";
import type { Locale } from "#src/kernel/locale";
import { insertToken } from "./one-time-tokens.sql.ts";
import { LIFETIME_SECONDS, type Purpose } from "./purposes.ts";

/** The job that finds out what a token is good for, and mails it. */
export type TokenMailJob = JobKind<{ readonly tokenId: string; readonly locale: Locale }>;

/** What is asked for. */
export interface LinkRequest {
  /** Of the token; made by the caller. */
  readonly id: string;
  readonly purpose: Purpose;
  readonly email: string;
  /** Where the caller knows it; else the job finds it by the address. */
  readonly userId?: string;
  /** What using it will need. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** Of whoever asks: an account that is found is written to in its own. */
  readonly locale: Locale;
}

/** Makes the token and asks for its mail, both with the transaction. */
export async function requestLink(tx: Tx, job: TokenMailJob, request: LinkRequest): Promise<void> {
  const { id, purpose, email, userId = null, data = {}, locale } = request;
  await Promise.all([
    insertToken(tx, { id, purpose, email, userId, data, lifetimeSeconds: LIFETIME_SECONDS[purpose] }),
    enqueue(tx, job, { tokenId: id, locale }),
  ]);
}
