/** Discovery: finding people. */

import { discoveryGraphql } from "./discovery.graphql.ts";
import { discoveryRoutes } from "./discovery.routes.ts";

export const discovery = { name: "discovery", routes: discoveryRoutes, graphql: discoveryGraphql };
