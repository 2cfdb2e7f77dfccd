/** Registering, signing in, passwords, and the first admin. */

import { emailSignInRoutes } from "./email-sign-in.routes.ts";
import { mfaRoutes } from "./mfa.routes.ts";
import { passkeyRoutes } from "./passkey.routes.ts";
import { providerRoutes } from "./provider.routes.ts";
import { signInJobs } from "./sign-in.jobs.ts";
import { signInPages } from "./sign-in.pages.ts";
import { signInRoutes } from "./sign-in.routes.ts";

export const signIn = {
  name: "sign-in",
  routes: [...signInRoutes, ...mfaRoutes, ...emailSignInRoutes, ...passkeyRoutes, ...providerRoutes],
  jobs: signInJobs,
  pages: signInPages,
};
