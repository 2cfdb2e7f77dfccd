/** What a job does about mail that nobody will ever take. */

import { JobEnded } from "#src/jobs/job";
import { MailRefused } from "#src/mail/mail";

/** Waits for a mail to be handed over. @throws JobEnded when no further try can help, else what the driver threw */
export async function unlessRefused(sending: Promise<unknown>): Promise<void> {
  try {
    await sending;
  } catch (error) {
    throw error instanceof MailRefused ? new JobEnded(error.message) : error;
  }
}
