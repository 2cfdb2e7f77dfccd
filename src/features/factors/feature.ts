/** Second factors. */

import { factorsRoutes } from "./factors.routes.ts";
import { passkeysRoutes } from "./passkeys.routes.ts";

export const factors = { name: "factors", routes: [...factorsRoutes, ...passkeysRoutes] };
