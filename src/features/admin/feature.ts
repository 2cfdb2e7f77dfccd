/** Administration of accounts. */

import { adminRoutes } from "./admin.routes.ts";
import { impersonationsRoutes } from "./impersonations.routes.ts";

export const admin = { name: "admin", routes: [...adminRoutes, ...impersonationsRoutes] };
