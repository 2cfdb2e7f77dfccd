/** Limits, suspensions and bans. */

import { restrictionsConsumers } from "./restrictions.consumers.ts";
import { restrictionsSweeps } from "./restrictions.jobs.ts";
import { restrictionsRoutes } from "./restrictions.routes.ts";

export const restrictions = {
  name: "restrictions",
  routes: restrictionsRoutes,
  consumers: restrictionsConsumers,
  sweeps: restrictionsSweeps,
};
