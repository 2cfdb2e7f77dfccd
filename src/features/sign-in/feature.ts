/** Registering, signing in, and the first admin. */

import { signInRoutes } from "./sign-in.routes.ts";

export const signIn = { name: "sign-in", routes: signInRoutes };
