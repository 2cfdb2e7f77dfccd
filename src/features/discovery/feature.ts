/** Discovery: finding people, and suggesting some. */

import { discoveryGraphql } from "./discovery.graphql.ts";
import { discoverySweeps } from "./discovery.jobs.ts";
import { discoveryRoutes } from "./discovery.routes.ts";

export const discovery = { name: "discovery", routes: discoveryRoutes, graphql: discoveryGraphql, sweeps: discoverySweeps };
