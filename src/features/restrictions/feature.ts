/** Limits, suspensions and bans, by moderators and by declaration. */

import { restrictionsConsumers } from "./restrictions.consumers.ts";
import { restrictionsInternalRoutes } from "./restrictions.internal.routes.ts";
import { restrictionsSweeps } from "./restrictions.jobs.ts";
import { restrictionsRoutes } from "./restrictions.routes.ts";

export const restrictions = {
  name: "restrictions",
  routes: restrictionsRoutes,
  internal: restrictionsInternalRoutes,
  consumers: restrictionsConsumers,
  sweeps: restrictionsSweeps,
};
