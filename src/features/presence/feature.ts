/** Presence: who is online, away or offline, and who is told. */

import { presenceRoutes } from "./presence.routes.ts";
import { presenceConnections, presenceSockets } from "./presence.sockets.ts";

export const presence = { name: "presence", routes: presenceRoutes, sockets: presenceSockets, connections: presenceConnections };
