/** Preferences: how one likes the service to look, speak and tell. */

import { preferencesGraphql } from "./preferences.graphql.ts";
import { preferencesRoutes } from "./preferences.routes.ts";

export const preferences = { name: "preferences", routes: preferencesRoutes, graphql: preferencesGraphql };
