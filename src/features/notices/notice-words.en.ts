/** What notices say by mail, in English. */

import { RESTRICTION_REASONS } from "#src/contract/restriction-reasons";
import type { Capability } from "#src/kernel/actor";
import { moment, quoteOf, type NoticeWords } from "./notice-words.ts";

const NOUN = { limit: "limit", suspend: "suspension", ban: "ban" } as const;
const PAST = { limit: "limited", suspend: "suspended", ban: "banned" } as const;
const STILL = "If you had signed out or were signed out, please sign in again. Other restrictions, if there are any, still hold.";
const NOT_YOU = "If that was not you, reset your password now: whoever did it can sign in as you.";

const CAPABILITY: Readonly<Record<Capability, string>> = {
  post: "post",
  follow: "follow others",
  message: "send messages",
  be_found: "be found in search",
  edit_profile: "edit your profile",
  upload: "upload files",
};

export const english: NoticeWords = {
  "restriction.imposed": ({ kind, reason, message, capabilities, expiresAt }) => ({
    subject: `Your account has been ${PAST[kind]}`,
    paragraphs: [
      kind === "limit"
        ? `For now you cannot ${capabilities.map((one) => CAPABILITY[one]).join(", ")}.`
        : `Your account has been ${PAST[kind]} and you have been signed out everywhere.`,
      `The reason: ${RESTRICTION_REASONS[reason]}.`,
      expiresAt === null ? "It has no end date." : `It ends on ${moment(expiresAt)}.`,
    ],
    ...quoteOf("The moderator wrote:", message),
  }),
  "restriction.ended": ({ kind }) => ({
    subject: "A restriction of your account has ended",
    paragraphs: [`The ${NOUN[kind]} of your account has reached its end.`, STILL],
  }),
  "restriction.lifted": ({ kind }) => ({
    subject: "A restriction of your account was lifted",
    paragraphs: [`A moderator has lifted the ${NOUN[kind]} of your account.`, STILL],
  }),
  "security.refresh_reuse": ({ device }) => ({
    subject: "We ended one of your sessions to keep your account safe",
    paragraphs: [
      "A sign-in key that had been used before was presented again. That can mean that somebody copied it, so we ended the session it belongs to" +
        (device === null ? "." : ` (${device}).`),
      "If you do not recognise this, sign in, look through your sessions and change your password.",
    ],
  }),
  "security.password_changed": ({ how, sessionsRevoked }) => ({
    subject: "Your password was changed",
    paragraphs: [
      how === "reset" ? "Your password was set anew by a link that we mailed to this address." : "Your password was changed.",
      sessionsRevoked === 0 ? "No session was ended." : "Your other sessions were ended; please sign in again there.",
      NOT_YOU,
    ],
  }),
  "security.email_changed": () => ({
    subject: "Your account has a new e-mail address",
    paragraphs: ["From now on we write to you at this address.", NOT_YOU],
  }),
  "security.factor_added": ({ factor }) => ({
    subject: factor === "passkey" ? "A passkey was added to your account" : "An authenticator app was added to your account",
    paragraphs: [
      factor === "passkey"
        ? "From now on you can sign in with it alone, and your password is not enough any more. Keep your recovery codes where you find them without it."
        : "From now on you are asked for one of its codes when you sign in. Keep the recovery codes where you find them without it.",
      NOT_YOU,
    ],
  }),
  "security.factor_removed": ({ factor }) => ({
    subject: factor === "passkey" ? "A passkey of your account was removed" : "The authenticator app of your account was removed",
    paragraphs: [
      factor === "passkey"
        ? "It opens nothing any more. Once an account has no passkey and no authenticator app left, its password alone is enough to sign in."
        : "You are not asked for its codes any more. Once an account has no passkey left either, its password alone is enough to sign in.",
      "Your other sessions were ended.",
      NOT_YOU,
    ],
  }),
  "security.recovery_code_used": ({ left }) => ({
    subject: "One of your recovery codes was used",
    paragraphs: [`Somebody signed in with a recovery code in place of the authenticator app. ${left} of them can still be used.`, NOT_YOU],
  }),
  "security.recovery_codes_renewed": () => ({
    subject: "Your account has new recovery codes",
    paragraphs: ["The recovery codes of before open nothing any more.", NOT_YOU],
  }),
  "security.passkey_copied": ({ name }) => ({
    subject: "One of your passkeys may have been copied",
    paragraphs: [
      "A passkey of your account answered in a way that a copy of it would. Nobody was signed in by it.",
      "If you do not know why, remove the passkey from your account and add a new one.",
    ],
    quote: { lead: "You call it:", text: name },
  }),
  "security.identity_linked": ({ provider }) => ({
    subject: `Your account can now be signed in to through ${provider}`,
    paragraphs: [
      `An identity at ${provider} was linked to your account. Whoever has it can sign in without your password.`,
      "If that was not you, reset your password now, then sign in and unlink the identity: a new password alone does not end it.",
    ],
  }),
  "security.identity_unlinked": ({ provider }) => ({
    subject: `Your account cannot be signed in to through ${provider} any more`,
    paragraphs: [`An identity at ${provider} was unlinked from your account.`, "Your other sessions were ended.", NOT_YOU],
  }),
  "security.roles_changed": ({ roles }) => ({
    subject: "The roles of your account were changed",
    paragraphs: [`Your roles are now: ${roles.join(", ")}. You have been signed out everywhere; please sign in again.`],
  }),
  "security.impersonated": ({ expiresAt }) => ({
    subject: "One of our staff is looking at your account",
    paragraphs: [
      `To help you or to look into something, one of our staff acts in your account until ${moment(expiresAt)} at the latest. They see it as ` +
        "you do. They cannot change how you sign in, nor export or delete anything, and whatever they change is on record.",
      "You see it in the list of your sessions and can end it there. If you did not ask for help and want to know why, write to us.",
    ],
  }),
  "security.username_changed": ({ from, to }) => ({
    subject: "Your username was changed",
    paragraphs: [`You are @${to} from now on. @${from} leads to you for 90 days, and nobody else can take it until then.`, NOT_YOU],
  }),
  "security.new_device": ({ device, address }) => ({
    subject: "Somebody signed in to your account from a new device",
    paragraphs: [
      `The device: ${device ?? "one that does not say what it is"}. The address: ${address}.`,
      "If it was you, there is nothing to do.",
      NOT_YOU,
    ],
  }),
  "follow.started": () => ({
    subject: "Somebody follows you",
    paragraphs: ["You find who it is among your followers."],
  }),
  "follow.requested": () => ({
    subject: "Somebody asks to follow you",
    paragraphs: ["You find who it is among your requests, and say yes or no there."],
  }),
  "follow.accepted": () => ({
    subject: "Your request to follow somebody was accepted",
    paragraphs: ["You follow them now."],
  }),
};
