/** Every attack there is, in the order in which they are made. */

import type { Row } from "./row.ts";
import { accessTokenRows } from "./rows/access-tokens.ts";
import { codeRows } from "./rows/codes.ts";
import { cookieRows, headerRows } from "./rows/cookies.ts";
import { graphqlRows } from "./rows/graphql.ts";
import { impersonationRows } from "./rows/impersonations.ts";
import { leftBehindRows } from "./rows/left-behind.ts";
import { passkeyRows } from "./rows/passkeys.ts";
import { lockoutRows, passwordRows } from "./rows/passwords.ts";
import { providerRows } from "./rows/providers.ts";
import { lookUpRows, refreshTokenRows } from "./rows/refresh-tokens.ts";
import { socketRows } from "./rows/sockets.ts";
import { subscriptionRows } from "./rows/subscriptions.ts";

export const ROWS: readonly Row[] = [
  ...accessTokenRows,
  ...refreshTokenRows,
  ...lookUpRows,
  ...cookieRows,
  ...headerRows,
  ...passwordRows,
  ...lockoutRows,
  ...codeRows,
  ...passkeyRows,
  ...providerRows,
  ...graphqlRows,
  ...socketRows,
  ...subscriptionRows,
  ...impersonationRows,
  // What all the others have left.
  ...leftBehindRows,
];
