/** Confirming and changing e-mail addresses. */

import { addressesJobs } from "./addresses.jobs.ts";
import { addressesPages } from "./addresses.pages.ts";
import { addressesRoutes } from "./addresses.routes.ts";

export const addresses = { name: "addresses", routes: addressesRoutes, jobs: addressesJobs, pages: addressesPages };
