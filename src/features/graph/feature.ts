/** The graph: who follows whom. */

import { graphConsumers } from "./graph.consumers.ts";
import { graphGraphql } from "./graph.graphql.ts";
import { graphSweeps } from "./graph.jobs.ts";
import { graphRoutes } from "./graph.routes.ts";

export const graph = { name: "graph", routes: graphRoutes, graphql: graphGraphql, consumers: graphConsumers, sweeps: graphSweeps };
