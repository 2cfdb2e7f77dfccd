/** `npm run admin -- …`: first aid for accounts at a terminal, by the same use cases as over REST. Whoever holds the database's password may. */

import { userInfo } from "node:os";
import { parseArgs } from "node:util";
import { ConfigError, readConfig } from "#src/config/config";
import { environment } from "#src/config/environment";
import { closeDb, openDb, type Db } from "#src/db/pool";
import { findUserId } from "#src/features/accounts/public";
import { changeRoles } from "#src/features/admin/change-roles";
import { endSessions, forceReset, resetFactors } from "#src/features/admin/first-aid";
import { readUser } from "#src/features/admin/look";
import { rolesBody } from "#src/features/admin/admin.schemas";
import { systemClock } from "#src/kernel/clock";
import { isUuid } from "#src/kernel/ids";
import { Problem } from "#src/kernel/problem";
import { createHash } from "node:crypto";
import { createLog } from "#src/telemetry/log";
import { urlsOf } from "./deps.ts";

const USAGE = `usage: admin <command> <user> [--reason TEXT]
  show <user>                 the account
  roles <user> <role,…>       sets its roles: user, moderator, admin; its sessions end
  end-sessions <user>         signs it out everywhere
  force-reset <user>          makes its password good for nothing, signs it out, mails a link for a new one
  reset-mfa <user>            removes its authenticator app, passkeys and recovery codes, signs it out
<user> is an id, a username or an e-mail address. Every change but show wants --reason, which the audit log keeps.
DATABASE_URL says where the accounts are.
`;

const EX_USAGE = 64;
const EX_CONFIG = 78;

/** A change that was asked for, in full. */
interface Asked {
  readonly userId: string;
  readonly reason: string;
  readonly roles: string | undefined;
}

type Deps = Parameters<typeof forceReset>[0];

const CHANGES: Readonly<Record<string, (deps: Deps, asked: Asked) => Promise<string>>> = {
  roles: async (deps, { roles, ...asked }) => {
    const parsed = rolesBody.safeParse({ roles: (roles ?? "").split(",").filter((role) => role !== ""), reason: asked.reason });
    if (!parsed.success) throw new UsageError(parsed.error.issues.map(({ message }) => message).join("; "));
    await changeRoles(deps, { by: "operator", userId: asked.userId, ...parsed.data });
    return `roles: ${parsed.data.roles.join(", ")}`;
  },
  "end-sessions": async (deps, asked) => {
    const { sessionsRevoked } = await endSessions(deps, { by: "operator", ...asked });
    return `${sessionsRevoked} sessions ended`;
  },
  "force-reset": async (deps, asked) => {
    await forceReset(deps, { by: "operator", ...asked });
    return "the password is good for nothing; a link for a new one is being mailed";
  },
  "reset-mfa": async (deps, asked) => {
    await resetFactors(deps, { by: "operator", ...asked });
    return "second factors removed";
  },
};

/** The command cannot be understood. */
class UsageError extends Error {}

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { reason: { type: "string" }, help: { type: "boolean" } },
    });
    if (values.help === true) {
      process.stdout.write(USAGE);
      return 0;
    }
    return await run(positionals, values.reason);
  } catch (error) {
    return told(error);
  }
}

function told(error: unknown): number {
  const isUsage = error instanceof UsageError || (error instanceof TypeError && "code" in error);
  const words = error instanceof Problem ? `${error.code}: ${error.message}` : error instanceof Error ? error.message : String(error);
  process.stderr.write(`${words}\n${isUsage ? USAGE : ""}`);
  if (isUsage) return EX_USAGE;
  return error instanceof ConfigError ? EX_CONFIG : 1;
}

async function run([command = "", user, roles, ...rest]: readonly string[], reason: string | undefined): Promise<number> {
  const change = CHANGES[command];
  if (user === undefined || rest.length > 0 || (roles === undefined) === (command === "roles"))
    throw new UsageError("the command is not whole, or has too much");
  if (change === undefined && command !== "show") throw new UsageError(`there is no command ${command}`);
  if (change !== undefined && (reason ?? "").trim().length < 3) throw new UsageError("--reason is missing");
  const config = readConfig(environment, "migrate");
  const log = createLog({ level: "warn", fields: { process: "admin", operator: userInfo().username } });
  const db = openDb({ url: urlsOf(config).directUrl, maxConnections: 2, applicationName: "user-service admin", log });
  try {
    const userId = await idOf(db, user);
    const deps = { db, clock: systemClock, log };
    if (change !== undefined)
      process.stdout.write(`${await change(deps, { userId, reason: `${userInfo().username}: ${reason}`, roles })}\n`);
    process.stdout.write(`${JSON.stringify(await readUser({ db }, userId), undefined, 2)}\n`);
    return 0;
  } finally {
    await closeDb(db);
  }
}

async function idOf(db: Db, user: string): Promise<string> {
  if (isUuid(user)) return user;
  const name = user.includes("@") ? { emailHash: createHash("sha256").update(user.toLowerCase()).digest("hex") } : { username: user };
  const id = await findUserId(db, name);
  if (id === undefined) throw new Error(`nobody is called ${user}`);
  return id;
}
