/** Who somebody is at other providers. */

import { identitiesRoutes } from "./identities.routes.ts";

export const identities = { name: "identities", routes: identitiesRoutes };
