/** Sessions, their tokens and the gate. */

import { sessionsSweeps } from "./sessions.jobs.ts";
import { sessionsRoutes } from "./sessions.routes.ts";

export const sessions = { name: "sessions", routes: sessionsRoutes, sweeps: sessionsSweeps };
