/** An account as its owner sees it. */

import { z } from "zod";
import type { Status, UserRow } from "./accounts.rows.ts";

export const accountSchema = z.object({
  id: z.uuid(),
  username: z.string(),
  email: z.string(),
  emailVerified: z.boolean().describe("Whether its owner has proved to read that address"),
  displayName: z.string(),
  avatarUrl: z.string().nullable(),
  bio: z.string(),
  roles: z.array(z.enum(["user", "moderator", "admin"])),
  status: z.enum(["active", "suspended", "banned", "deactivated", "erased"]),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
});

export type AccountView = z.infer<typeof accountSchema>;

/** The columns `accountView` needs. */
export type AccountColumns = Pick<
  UserRow,
  "id" | "username" | "email" | "email_verified_at" | "display_name" | "avatar_url" | "bio" | "roles" | "created_at" | "updated_at"
>;

/** @param status the standing at this moment (`user_standings`), not the stored one, which may be past its time */
export function accountView(user: AccountColumns, status: Status): AccountView {
  return {
    id: user.id,
    username: user.username,
    email: user.email,
    emailVerified: user.email_verified_at !== null,
    displayName: user.display_name,
    avatarUrl: user.avatar_url,
    bio: user.bio,
    roles: user.roles as AccountView["roles"],
    status,
    createdAt: user.created_at.toISOString(),
    updatedAt: user.updated_at.toISOString(),
  };
}
