/** E-mail addresses over REST. */

import { route } from "#src/http/route";
import { emailTaken, userNotFound, usernameTaken } from "#src/features/accounts/public";
import { codeInvalid, linkInvalid } from "#src/features/one-time-tokens/public";
import { signInThrottled } from "#src/features/factors/public";
import { hashingBusy, passwordWrong } from "#src/features/sign-in/public";
import { changeAction, resendAction, verifyAction } from "./addresses.actions.ts";
import { emailUnchanged } from "./addresses.errors.ts";
import { askedSchema, changeBody, resendBody, verifiedSchema, verifyBody } from "./addresses.schemas.ts";
import { requestAddressChange } from "./change-address.ts";
import { resendVerification } from "./resend-verification.ts";
import { verifyAddress } from "./verify-address.ts";

type Deps = Parameters<typeof requestAddressChange>[0] &
  Parameters<typeof resendVerification>[0] &
  Parameters<typeof verifyAddress>[0] & {
    /** Waits until this process itself has read what was just committed. */
    readonly revocationsSettled: () => Promise<void>;
  };

const MAIL_SENT = { status: "mail_sent" } as const;

export const addressesRoutes = [
  route({
    method: "post",
    path: "/api/auth/verify-email",
    tag: "auth",
    summary: "Confirm an address by a mailed link or code",
    description:
      "`token` is the last part of the link's path. A code goes with the address it was mailed to and dies after five tries. " +
      "For a registration that waits this makes the account; `username` replaces a name that somebody else has taken meanwhile.",
    body: verifyBody,
    answers: { 200: { description: "Confirmed", body: verifiedSchema } },
    problems: [linkInvalid, codeInvalid, usernameTaken, emailTaken, signInThrottled],
    throttle: verifyAction,
    needs: { kind: "anyone" },
    handle: async (deps: Deps, { body, client }) => {
      const { username, ...proof } = body;
      const verified = await verifyAddress(deps, { proof, username, client });
      await deps.revocationsSettled();
      return { status: 200, body: verified };
    },
  }),
  route({
    method: "post",
    path: "/api/auth/resend-verification",
    tag: "auth",
    summary: "Have the mail that confirms an address sent again",
    description: "Answers alike whatever the address is.",
    body: resendBody,
    answers: { 202: { description: "Taken", body: askedSchema } },
    problems: [signInThrottled],
    throttle: resendAction,
    needs: { kind: "anyone" },
    handle: async (deps: Deps, { body, client }) => {
      await resendVerification(deps, { ...body, client });
      return { status: 202, body: MAIL_SENT };
    },
  }),
  route({
    method: "post",
    path: "/api/auth/change-email",
    tag: "auth",
    summary: "Ask for another e-mail address",
    description:
      "It holds once it was confirmed by the mail that is sent to it. Other sessions end then, and the old address gets a link that takes it back for seven days.",
    body: changeBody,
    answers: { 202: { description: "Taken", body: askedSchema } },
    problems: [passwordWrong, emailUnchanged, userNotFound, signInThrottled, hashingBusy],
    throttle: changeAction,
    needs: { kind: "account" },
    handle: async (deps: Deps, { actor, body, client }) => {
      await requestAddressChange(deps, { actor, ...body, client });
      return { status: 202, body: MAIL_SENT };
    },
  }),
];
