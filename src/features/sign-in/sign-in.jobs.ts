/** The durable job behind the mails of sign-in: at least once, with link and Message-ID that stay the same. */

import { unlessRefused } from "#src/features/notices/public";
import { job } from "#src/jobs/job";
import { mailSignInLink, type LinkMailNeeds } from "./link-mail.ts";
import { signInMailJob } from "./registration.ts";

export const signInJobs = [
  job({
    ...signInMailJob,
    summary: "Mails the link that a registration, an address or a forgotten password asked for",
    maxAttempts: 20,
    handle: async (deps: LinkMailNeeds, payload, _signal, { id }) => {
      await unlessRefused(mailSignInLink(deps, { ...payload, messageId: id }));
    },
  }),
];
