/** The graph: who follows, blocks and mutes whom. */

import { blocksRoutes } from "./blocks.routes.ts";
import { followersRoutes } from "./followers.routes.ts";
import { graphConsumers } from "./graph.consumers.ts";
import { graphGraphql } from "./graph.graphql.ts";
import { graphSweeps } from "./graph.jobs.ts";
import { graphRoutes } from "./graph.routes.ts";
import { relationshipsRoutes } from "./relationships.routes.ts";

export const graph = {
  name: "graph",
  routes: [...graphRoutes, ...followersRoutes, ...blocksRoutes, ...relationshipsRoutes],
  graphql: graphGraphql,
  consumers: graphConsumers,
  sweeps: graphSweeps,
};
