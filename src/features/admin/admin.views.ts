/** An account as admins see it. */

import { z } from "zod";
import { accountSchema, accountView } from "#src/features/accounts/public";
import type { AdminUserRow } from "./admin.sql.ts";

export const adminUserSchema = accountSchema.extend({
  hasPassword: z.boolean().describe("False while an invitation waits, or for one who has to set a new one"),
  totp: z.object({ confirmedAt: z.iso.datetime() }).nullable(),
  passkeys: z.number().int().describe("How many there are"),
  sessions: z.number().int().describe("How many stand"),
});

export type AdminUserView = z.infer<typeof adminUserSchema>;

export function adminUserView(user: AdminUserRow): AdminUserView {
  return {
    ...accountPart(user),
    hasPassword: user.has_password,
    totp: user.totp_confirmed_at === null ? null : { confirmedAt: user.totp_confirmed_at.toISOString() },
    passkeys: user.passkeys,
    sessions: user.sessions,
  };
}

const accountPart = (user: AdminUserRow): ReturnType<typeof accountView> => accountView(user, user.current_status);
