/** What a notice can say: its type and the shape of `data`, as kept in the JSON column and as shown. Additive only. */

import { z } from "zod";
import { REASON_CODES } from "#src/contract/restriction-reasons";
import { CAPABILITIES } from "#src/kernel/actor";

const kind = z.enum(["limit", "suspend", "ban"]);
const instant = z.iso.datetime();

const restrictionImposed = z.object({
  type: z.literal("restriction.imposed"),
  data: z.object({
    restrictionId: z.uuid(),
    kind,
    reason: z.enum(REASON_CODES),
    message: z.string().nullable().describe("What the moderator wrote to the user"),
    capabilities: z.array(z.enum(CAPABILITIES)).describe("What a limit takes away; empty for the other kinds"),
    startsAt: instant,
    expiresAt: instant.nullable(),
  }),
});

const restrictionEnded = z.object({
  type: z.literal("restriction.ended").describe("It reached its end"),
  data: z.object({ restrictionId: z.uuid(), kind }),
});

const restrictionLifted = z.object({
  type: z.literal("restriction.lifted").describe("It was taken back"),
  data: z.object({ restrictionId: z.uuid(), kind }),
});

const refreshReuse = z.object({
  type: z.literal("security.refresh_reuse").describe("A used refresh token came back: a sign of theft; the session was ended"),
  data: z.object({ sessionId: z.uuid(), device: z.string().nullable().describe("What its user agent says, in words") }),
});

const passwordChanged = z.object({
  type: z.literal("security.password_changed"),
  data: z.object({
    how: z.enum(["changed", "reset"]).describe("By its owner's password, or by a link that was mailed"),
    sessionsRevoked: z.number().int().describe("How many sessions that ended"),
  }),
});

const emailChanged = z.object({
  type: z.literal("security.email_changed").describe("Another e-mail address was confirmed"),
  data: z.object({ how: z.enum(["changed", "undone"]).describe("Or taken back from the address before") }),
});

const factor = z.enum(["totp", "passkey"]);

const factorAdded = z.object({
  type: z.literal("security.factor_added").describe("A second factor is asked for at sign-in from now on"),
  data: z.object({ factor }),
});

const factorRemoved = z.object({
  type: z.literal("security.factor_removed"),
  data: z.object({ factor }),
});

const recoveryCodeUsed = z.object({
  type: z.literal("security.recovery_code_used"),
  data: z.object({ left: z.number().int().describe("Codes that can still be used") }),
});

const recoveryCodesRenewed = z.object({
  type: z.literal("security.recovery_codes_renewed").describe("Codes of before open nothing any more"),
  data: z.object({}),
});

const passkeyCopied = z.object({
  type: z
    .literal("security.passkey_copied")
    .describe("A passkey answered with a counter that does not go on from its last: a sign that there is a copy; nobody was signed in"),
  data: z.object({ name: z.string().describe("What its owner calls it") }),
});

const identityLinked = z.object({
  type: z.literal("security.identity_linked").describe("An identity at another provider signs in to the account from now on"),
  data: z.object({ provider: z.string().describe("How it is called") }),
});

const identityUnlinked = z.object({
  type: z.literal("security.identity_unlinked"),
  data: z.object({ provider: z.string().describe("How it is called") }),
});

const rolesChanged = z.object({
  type: z.literal("security.roles_changed"),
  data: z.object({ roles: z.array(z.enum(["user", "moderator", "admin"])).describe("Those of now") }),
});

const newDevice = z.object({
  type: z.literal("security.new_device").describe("Somebody signed in from a device that the account was not seen on before"),
  data: z.object({
    sessionId: z.uuid(),
    device: z.string().nullable().describe("What its user agent says, in words"),
    address: z.string(),
  }),
});

const impersonated = z.object({
  type: z.literal("security.impersonated").describe("An admin acts in the account's place for some minutes; the session is in the list"),
  data: z.object({ sessionId: z.uuid(), expiresAt: instant }),
});

const usernameChanged = z.object({
  type: z.literal("security.username_changed"),
  data: z.object({ from: z.string(), to: z.string() }),
});

const followStarted = z.object({
  type: z.literal("follow.started").describe("Somebody began to follow the user; told once of each"),
  data: z.object({ userId: z.uuid().describe("Who follows") }),
});

const followRequested = z.object({
  type: z.literal("follow.requested").describe("Somebody asks to follow the user; gone once it is answered or taken back"),
  data: z.object({ userId: z.uuid().describe("Who asks") }),
});

const followAccepted = z.object({
  type: z.literal("follow.accepted").describe("Somebody whom the user asked said yes"),
  data: z.object({ userId: z.uuid().describe("Who said yes") }),
});

/** Every kind of notice. */
export const noticeTypes = [
  restrictionImposed,
  restrictionEnded,
  restrictionLifted,
  refreshReuse,
  passwordChanged,
  emailChanged,
  factorAdded,
  factorRemoved,
  recoveryCodeUsed,
  recoveryCodesRenewed,
  passkeyCopied,
  identityLinked,
  identityUnlinked,
  rolesChanged,
  newDevice,
  impersonated,
  usernameChanged,
  followStarted,
  followRequested,
  followAccepted,
] as const;

const noticeContent = z.discriminatedUnion("type", noticeTypes);

/** What to tell: a type with its data; instants as ISO text, for this is JSON. */
export type NoticeContent = z.infer<typeof noticeContent>;

/** Reads what a row holds. @throws ZodError when the row was not written by `addNotice` */
export function parseContent(type: string, data: unknown): NoticeContent {
  return noticeContent.parse({ type, data });
}
