/** Profiles: one's own and other people's. */

import { profilesConsumers } from "./profiles.consumers.ts";
import { profilesGraphql } from "./profiles.graphql.ts";
import { profilesRoutes } from "./profiles.routes.ts";

export const profiles = { name: "profiles", routes: profilesRoutes, graphql: profilesGraphql, consumers: profilesConsumers };
