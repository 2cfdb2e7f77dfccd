/** A passkey as its owner sees it; neither key nor counter is among it. */

import type { z } from "zod";
import type { passkeySchema } from "./passkeys.schemas.ts";
import type { Passkey } from "./passkeys.sql.ts";

export type PasskeyView = z.infer<typeof passkeySchema>;

export function passkeyView({ transports, createdAt, lastUsedAt, ...rest }: Passkey): PasskeyView {
  return {
    ...rest,
    transports: [...transports],
    createdAt: createdAt.toISOString(),
    lastUsedAt: lastUsedAt === null ? null : lastUsedAt.toISOString(),
  };
}
