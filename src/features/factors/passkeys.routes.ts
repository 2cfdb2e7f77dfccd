/** One's own passkeys over REST. */

import { route } from "#src/http/route";
import { userNotFound } from "#src/features/accounts/public";
import { stepUpRequired } from "#src/features/sessions/public";
import { addPasskey, offerPasskey } from "./add-passkey.ts";
import { changePasskeysAction, readPasskeysAction } from "./factors.actions.ts";
import { passkeyChallengeInvalid, passkeyExists, passkeyInvalid, passkeyLast, passkeyNotFound, passkeyTooMany } from "./factors.errors.ts";
import { listPasskeys, removePasskey, renamePasskey } from "./own-passkeys.ts";
import {
  addedPasskeySchema,
  creationOptionsSchema,
  newPasskeyBody,
  passkeyParams,
  passkeySchema,
  passkeysSchema,
  renamePasskeyBody,
} from "./passkeys.schemas.ts";

type Deps = Parameters<typeof addPasskey>[0] &
  Parameters<typeof removePasskey>[0] & {
    /** Waits until this process itself has read what was just committed. */
    readonly revocationsSettled: () => Promise<void>;
  };

const own = { kind: "account" } as const;

export const passkeysRoutes = [
  route({
    method: "post",
    path: "/api/auth/passkeys/options",
    tag: "auth",
    summary: "Begin to add a passkey",
    description: "The options are good for five minutes and this session. Wants a sign-in or step-up within the last ten minutes.",
    answers: { 200: { description: "What to ask the authenticator", body: creationOptionsSchema } },
    problems: [passkeyTooMany, stepUpRequired, userNotFound],
    throttle: changePasskeysAction,
    needs: own,
    handle: async (deps: Deps, { actor }) => ({ status: 200, body: await offerPasskey(deps, actor) }),
  }),
  route({
    method: "post",
    path: "/api/auth/passkeys",
    tag: "auth",
    summary: "Add the passkey that the authenticator has made",
    description:
      "From then on it signs in alone, and login by password asks for it or another factor. Wants a fresh session as the options do.",
    body: newPasskeyBody,
    answers: { 201: { description: "The passkey", body: addedPasskeySchema } },
    problems: [passkeyInvalid, passkeyChallengeInvalid, passkeyExists, passkeyTooMany, stepUpRequired],
    throttle: changePasskeysAction,
    needs: own,
    handle: async (deps: Deps, { actor, body }) => ({ status: 201, body: await addPasskey(deps, { actor, ...body }) }),
  }),
  route({
    method: "get",
    path: "/api/auth/passkeys",
    tag: "auth",
    summary: "The passkeys of the account",
    answers: { 200: { description: "The oldest first; 20 at most", body: passkeysSchema } },
    problems: [],
    throttle: readPasskeysAction,
    needs: own,
    handle: async (deps: Deps, { actor }) => ({ status: 200, body: { data: await listPasskeys(deps, actor) } }),
  }),
  route({
    method: "patch",
    path: "/api/auth/passkeys/:id",
    tag: "auth",
    summary: "Name a passkey",
    params: passkeyParams,
    body: renamePasskeyBody,
    answers: { 200: { description: "The passkey", body: passkeySchema } },
    problems: [passkeyNotFound],
    throttle: changePasskeysAction,
    needs: own,
    handle: async (deps: Deps, { actor, params, body }) => ({
      status: 200,
      body: await renamePasskey(deps, { actor, id: params.id, ...body }),
    }),
  }),
  route({
    method: "delete",
    path: "/api/auth/passkeys/:id",
    tag: "auth",
    summary: "Remove a passkey",
    description:
      "Other sessions end. The last factor takes the recovery codes with it. Wants a sign-in or step-up within the last ten minutes.",
    params: passkeyParams,
    answers: { 204: { description: "It opens nothing any more" } },
    problems: [passkeyNotFound, passkeyLast, stepUpRequired],
    throttle: changePasskeysAction,
    needs: own,
    handle: async (deps: Deps, { actor, params }) => {
      await removePasskey(deps, { actor, id: params.id });
      await deps.revocationsSettled();
      return { status: 204 };
    },
  }),
];
