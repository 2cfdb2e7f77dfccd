/** Neighbours: what other services tell us of people, and what they ask of them. */

import { neighboursConsumers } from "./neighbours.consumers.ts";
import { neighboursInternalRoutes } from "./neighbours.internal.routes.ts";

export const neighbours = { name: "neighbours", internal: neighboursInternalRoutes, consumers: neighboursConsumers };
