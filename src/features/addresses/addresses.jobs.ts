/** The durable job behind the mails of a changing address. */

import { unlessRefused } from "#src/features/notices/public";
import type { LinkMailNeeds } from "#src/features/sign-in/public";
import { job } from "#src/jobs/job";
import { mailAddressLink } from "./address-mail.ts";
import { addressesMailJob } from "./change-address.ts";

export const addressesJobs = [
  job({
    ...addressesMailJob,
    summary: "Mails the link that confirms a new address, or takes a change back",
    maxAttempts: 20,
    handle: async (deps: LinkMailNeeds, payload, _signal, { id }) => {
      await unlessRefused(mailAddressLink(deps, { tokenId: payload.tokenId, messageId: id }));
    },
  }),
];
