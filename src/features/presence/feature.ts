/** Presence: who is online, away or offline, and who is told. */

import { presenceConsumers } from "./presence.consumers.ts";
import { presenceGraphql } from "./presence.graphql.ts";
import { presenceRoutes } from "./presence.routes.ts";
import { presenceConnections, presenceSockets } from "./presence.sockets.ts";

export const presence = {
  name: "presence",
  routes: presenceRoutes,
  graphql: presenceGraphql,
  sockets: presenceSockets,
  connections: presenceConnections,
  consumers: presenceConsumers,
};
