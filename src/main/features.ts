/** The product: every feature, in the one allowed order. A later one may use an earlier one's `public.ts`, never the reverse. */

import { addresses } from "#src/features/addresses/feature";
import { admin } from "#src/features/admin/feature";
import { discovery } from "#src/features/discovery/feature";
import { factors } from "#src/features/factors/feature";
import { graph } from "#src/features/graph/feature";
import { identities } from "#src/features/identities/feature";
import { neighbours } from "#src/features/neighbours/feature";
import { notices } from "#src/features/notices/feature";
import { oneTimeTokens } from "#src/features/one-time-tokens/feature";
import { preferences } from "#src/features/preferences/feature";
import { presence } from "#src/features/presence/feature";
import { profiles } from "#src/features/profiles/feature";
import { restrictions } from "#src/features/restrictions/feature";
import { sessions } from "#src/features/sessions/feature";
import { signIn } from "#src/features/sign-in/feature";
import type { ApiDeps, WorkerDeps } from "./deps.ts";
import type { Feature } from "./feature.ts";

/** `audit` and `accounts` have no edges of their own: they are used through their doors. */
export const features: readonly Feature<ApiDeps, WorkerDeps>[] = [
  preferences,
  notices,
  sessions,
  oneTimeTokens,
  factors,
  identities,
  signIn,
  addresses,
  profiles,
  graph,
  discovery,
  presence,
  restrictions,
  admin,
  neighbours,
];
