/** Restrictions over REST, for moderators and above. */

import type { Db } from "#src/db/pool";
import { userNotFound } from "#src/features/accounts/public";
import { route } from "#src/http/route";
import type { Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { impose } from "./impose.ts";
import { lift } from "./lift.ts";
import { moderationRecord } from "./record.ts";
import { liftAction, recordAction, restrictAction } from "./restrictions.actions.ts";
import { restrictionNotActive, restrictionNotFound, restrictionOwnAccount, roleInsufficient } from "./restrictions.errors.ts";
import { impositionBody, liftBody, restrictionParams, userParams } from "./restrictions.schemas.ts";
import { recordSchema, recordView, restrictionSchema, restrictionView } from "./restrictions.views.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
  /** Waits until this process itself has read what was just committed. */
  readonly revocationsSettled: () => Promise<void>;
}

const moderators = { kind: "account", role: "moderator" } as const;

export const restrictionsRoutes = [
  route({
    method: "post",
    path: "/api/moderation/users/:id/restrictions",
    tag: "moderation",
    summary: "Restrict an account",
    description:
      "A suspension or ban that begins now ends every session of the account before this answers. Of several restrictions the strictest counts. " +
      "Nobody acts on an account of their own role or above, or on their own.",
    params: userParams,
    body: impositionBody,
    answers: { 201: { description: "The restriction, in force or planned", body: restrictionSchema } },
    problems: [userNotFound, restrictionOwnAccount, roleInsufficient],
    throttle: restrictAction,
    needs: moderators,
    handle: async (deps: Needs, { actor, params, body }) => {
      const restriction = await impose(deps, {
        actorId: actor.userId,
        subjectId: params.id,
        kind: body.kind,
        reason: body.reason,
        message: body.message,
        capabilities: body.capabilities ?? [],
        startsAt: toDate(body.startsAt),
        expiresAt: toDate(body.expiresAt),
      });
      await deps.revocationsSettled();
      return { status: 201, body: restrictionView(restriction, restriction.created_at) };
    },
  }),
  route({
    method: "delete",
    path: "/api/moderation/restrictions/:id",
    tag: "moderation",
    summary: "Lift a restriction",
    description: "Other restrictions of the account still stand, and sessions that were ended stay ended.",
    params: restrictionParams,
    body: liftBody,
    answers: { 200: { description: "The restriction, lifted", body: restrictionSchema } },
    problems: [restrictionNotFound, restrictionNotActive, restrictionOwnAccount, roleInsufficient],
    throttle: liftAction,
    needs: moderators,
    handle: async (deps: Needs, { actor, params, body }) => {
      const restriction = await lift(deps, { actorId: actor.userId, restrictionId: params.id, note: body.note });
      await deps.revocationsSettled();
      return { status: 200, body: restrictionView(restriction, restriction.created_at) };
    },
  }),
  route({
    method: "get",
    path: "/api/moderation/users/:id",
    tag: "moderation",
    summary: "How an account stands, and every restriction it had",
    params: userParams,
    answers: { 200: { description: "Standing, restrictions in force or planned, history", body: recordSchema } },
    problems: [userNotFound],
    throttle: recordAction,
    needs: moderators,
    handle: async (deps: Needs, { params }) => ({ status: 200, body: recordView(await moderationRecord(deps, params.id)) }),
  }),
];

function toDate(instant: string | undefined): Date | undefined {
  return instant === undefined ? undefined : new Date(instant);
}
