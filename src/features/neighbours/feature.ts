/** Neighbours: what other services tell us of people. */

import { neighboursConsumers } from "./neighbours.consumers.ts";

export const neighbours = { name: "neighbours", consumers: neighboursConsumers };
