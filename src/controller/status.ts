/** What the status of a `UserBan` says after a look at it. Pure. */

import type { DeclarationAnswer, DeclaredRestriction } from "#src/contract/external-restrictions";
import { conditionOf, settle, type Said, type SaidConditions } from "./conditions.ts";
import type { Verdict } from "./plan.ts";
import { ALLOW_STAFF_LABEL, type Condition, type ConditionType, type UserBan, type UserBanStatus } from "./userban.ts";

const yes = (reason: string, message: string): Said => ({ status: "True", reason, message });
const no = (reason: string, message: string): Said => ({ status: "False", reason, message });
const unknown = (reason: string, message: string): Said => ({ status: "Unknown", reason, message });

const NOT_EXPIRED = no("NotExpired", "");
const NO_CONFLICT = no("NoConflict", "");
const IN_SYNC = no("InSync", "");
const ACCEPTED = yes("Accepted", "The service took the declaration");

/** The whole status; equal to the one that is there when nothing has changed. */
export function statusOf(ban: UserBan, verdict: Verdict, now: Date): UserBanStatus {
  const { status: before, metadata } = ban;
  const conditions = settle(before, sayings(ban, verdict, now), { generation: metadata.generation, now });
  return { conditions, ...rest(ban, verdict) };
}

function sayings(ban: UserBan, verdict: Verdict, now: Date): SaidConditions {
  switch (verdict.kind) {
    case "declared":
      return declared(ban, verdict.answer, now);
    case "refused":
      return refused(ban, verdict);
    case "malformed":
      return notAccepted(no("Invalid", verdict.message));
    case "unreachable":
      return unreachable(ban);
    case "paused":
      return asBefore(ban, unknown("Paused", "Nothing is looked at or changed while spec.paused is true"), "Paused");
    case "expired":
      return {
        ...notAccepted(no("Expired", "Its end had come before it was carried out, or was put into the past")),
        Enforced: no("Expired", "Its end has come"),
        Expired: yes("EndReached", "Its end has come"),
      };
  }
}

function declared(ban: UserBan, { outcome, restriction }: DeclarationAnswer, now: Date): SaidConditions {
  const isEnded = restriction.state === "ended";
  return {
    Accepted: ACCEPTED,
    Enforced: enforced(restriction),
    Expired: isEnded ? yes("EndReached", "Its end has come") : NOT_EXPIRED,
    Drifted: drifted(ban, { outcome, restriction }, now),
    Conflict: NO_CONFLICT,
  };
}

function enforced({ state }: DeclaredRestriction): Said {
  switch (state) {
    case "active":
      return yes("InForce", "The restriction is in force");
    case "planned":
      return no("Planned", "It begins at spec.startsAt");
    case "waiting":
      return no("WaitingForUser", "Nobody has that address yet; it is imposed as soon as somebody registers with it");
    case "ended":
      return no("Expired", "Its end has come");
    case "lifted":
    case "gone":
      return no("Lifted", "It was lifted by somebody else and is imposed again");
  }
}

/** Information: by the time it is read, it was put right. Stays until the next repair. */
function drifted(ban: UserBan, { outcome, restriction }: DeclarationAnswer, now: Date): Said {
  if (outcome === "repaired") return no("Repaired", `Somebody had lifted it; imposed again at ${now.toISOString()}`);
  if (restriction.state === "lifted" || restriction.state === "gone") return yes("Lifted", "Somebody has lifted it");
  const before = conditionOf(ban.status, "Drifted");
  return before?.status === "False" && before.reason === "Repaired" ? before : IN_SYNC;
}

function refused(ban: UserBan, { code, detail, standing }: Extract<Verdict, { kind: "refused" }>): SaidConditions {
  const said = notAccepted(refusal(ban, code, detail));
  const Conflict = code === "restriction.conflict" ? yes("OtherDeclaration", detail) : NO_CONFLICT;
  const { uid } = ban.metadata;
  if (standing?.uid !== uid || standing.state !== "active") return { ...said, Conflict };
  return { ...said, Conflict, Enforced: yes("EarlierGeneration", `What generation ${standing.generation} declared is in force`) };
}

function refusal({ spec }: UserBan, code: Extract<Verdict, { kind: "refused" }>["code"], detail: string): Said {
  switch (code) {
    case "user.not_found":
      return no("UserNotFound", spec.userRef.id === undefined ? "No account has that username" : "No account has that id");
    case "restriction.staff_target":
      return no("StaffTarget", `${detail}; moderators may be restricted from a namespace with the label ${ALLOW_STAFF_LABEL}=true`);
    case "restriction.conflict":
      return no("Conflict", detail);
    case "restriction.superseded":
      return no("Superseded", `The service knows a later state of this declaration: ${detail}. Delete this resource and make it again`);
    case "restriction.not_found":
    case "input.invalid":
      return no("Invalid", detail);
  }
}

function notAccepted(Accepted: Said): SaidConditions {
  const Enforced = no("NotAccepted", "");
  return { Accepted, Enforced, Expired: NOT_EXPIRED, Drifted: IN_SYNC, Conflict: NO_CONFLICT };
}

/** The service being away changes nothing of what was known: it lifts no ban. */
function unreachable(ban: UserBan): SaidConditions {
  const before = conditionOf(ban.status, "Accepted");
  const isSameGeneration = before?.observedGeneration === ban.metadata.generation;
  const message = "The service does not answer as it should; it is asked again";
  return asBefore(ban, { status: isSameGeneration ? before.status : "Unknown", reason: "ApiUnreachable", message }, "ApiUnreachable");
}

function asBefore({ status }: UserBan, Accepted: Said, why: string): SaidConditions {
  const kept = (type: ConditionType, otherwise: Said): Said | Condition => conditionOf(status, type) ?? otherwise;
  return {
    Accepted,
    Enforced: kept("Enforced", unknown(why, "Not known yet")),
    Expired: kept("Expired", NOT_EXPIRED),
    Drifted: kept("Drifted", IN_SYNC),
    Conflict: kept("Conflict", NO_CONFLICT),
  };
}

/** Everything but the conditions. What is known of the restriction comes from the service, never from the object. */
function rest(ban: UserBan, verdict: Verdict): Omit<UserBanStatus, "conditions"> {
  const { status: before = {}, metadata } = ban;
  const { conditions: _, lastError: __, ...known } = before;
  const observedGeneration = metadata.generation;
  switch (verdict.kind) {
    case "declared":
      return { observedGeneration, ...facts(verdict.answer.restriction) };
    case "refused": {
      const standing = verdict.standing?.uid === metadata.uid ? facts(verdict.standing) : {};
      return { observedGeneration, ...standing, lastError: `${verdict.code}: ${verdict.detail}`.slice(0, 1024) };
    }
    case "malformed":
      return { observedGeneration, lastError: verdict.message };
    case "unreachable":
      return { ...known, lastError: `the service ${verdict.error}` };
    case "paused":
      return { ...known, observedGeneration };
    case "expired":
      return { observedGeneration, ...(verdict.ended === undefined ? {} : facts(verdict.ended)) };
  }
}

function facts(restriction: DeclaredRestriction): Omit<UserBanStatus, "conditions"> {
  const { userId, restrictionId, enforcedAt, expiresAt, sessionsRevoked } = restriction;
  return {
    ...(userId === null ? {} : { userId }),
    ...(restrictionId === null ? {} : { restrictionId }),
    ...(enforcedAt === null ? {} : { enforcedAt }),
    ...(expiresAt === null ? {} : { expiresAt }),
    sessionsRevoked,
  };
}

const FIELDS = ["observedGeneration", "userId", "restrictionId", "enforcedAt", "expiresAt", "sessionsRevoked", "lastError"] as const;

/** As a merge patch: what is not there any more is taken away. Conditions are replaced whole. */
export function statusPatch(status: UserBanStatus): Readonly<Record<string, unknown>> {
  return { conditions: status.conditions ?? [], ...Object.fromEntries(FIELDS.map((name) => [name, status[name] ?? null])) };
}
