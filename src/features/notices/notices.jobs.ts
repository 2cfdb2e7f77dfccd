/** The durable job behind mail: at least once, with a Message-ID that stays the same. */

import type { Db } from "#src/db/pool";
import { job } from "#src/jobs/job";
import type { Mail } from "#src/mail/mail";
import { noticeMailJob } from "./add-notice.ts";
import { unlessRefused } from "./unless-refused.ts";
import { mailNotice } from "./mail-notice.ts";

interface Needs {
  readonly db: Db;
  readonly mail: Mail;
}

export const noticesJobs = [
  job({
    ...noticeMailJob,
    summary: "Mails a notice to the user it is for",
    maxAttempts: 20,
    handle: async (deps: Needs, payload, _signal, { id }) => {
      // The notice is in the app too.
      await unlessRefused(mailNotice(deps, { noticeId: payload.noticeId, messageId: id }));
    },
  }),
];
