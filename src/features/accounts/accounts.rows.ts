/** The `users` table as Objection sees it, for reads and writes of that one table. */

import { Model } from "objection";

/** How an account stands; derived from restrictions, or from the account's own end. */
export type Status = "active" | "suspended" | "banned" | "deactivated" | "erased";

export class UserRow extends Model {
  static override readonly tableName = "users";
  declare readonly id: string;
  declare readonly username: string;
  declare readonly email: string;
  declare readonly email_verified_at: Date | null;
  declare readonly locale: string;
  declare readonly display_name: string;
  declare readonly avatar_url: string | null;
  declare readonly bio: string;
  declare readonly roles: string[];
  declare readonly status: Status;
  declare readonly status_valid_until: Date | null;
  declare readonly limited: string[];
  declare readonly sessions_valid_from: Date;
  declare readonly version: number;
  declare readonly created_at: Date;
  declare readonly updated_at: Date;
}
