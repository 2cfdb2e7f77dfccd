/** Profiles: one's own and other people's, and who may see them. */

import { privacyRoutes } from "./privacy.routes.ts";
import { profilesConsumers } from "./profiles.consumers.ts";
import { profilesGraphql } from "./profiles.graphql.ts";
import { profilesSweeps } from "./profiles.jobs.ts";
import { profilesRoutes } from "./profiles.routes.ts";

export const profiles = {
  name: "profiles",
  routes: [...profilesRoutes, ...privacyRoutes],
  graphql: profilesGraphql,
  consumers: profilesConsumers,
  sweeps: profilesSweeps,
};
