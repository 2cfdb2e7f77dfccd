/** Sessions, their tokens and the gate. */

import { sessionsGraphql } from "./sessions.graphql.ts";
import { sessionsSweeps } from "./sessions.jobs.ts";
import { sessionsRoutes } from "./sessions.routes.ts";
import { trustedDevicesRoutes } from "./trusted-devices.routes.ts";

export const sessions = {
  name: "sessions",
  routes: [...sessionsRoutes, ...trustedDevicesRoutes],
  graphql: sessionsGraphql,
  sweeps: sessionsSweeps,
};
