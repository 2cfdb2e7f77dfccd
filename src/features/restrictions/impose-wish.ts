/** A declared wish about an account that is there: imposed, put in the place of the one before, or repaired. */

import type { UserFacts } from "#src/features/accounts/public";
import type { Tx } from "#src/db/tx";
import type { Clock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import type { SecurityEvent } from "#src/kernel/log";
import { conflictWith, endOther, factsOf, liveOf, type Applied, type Asked } from "./asked.ts";
import { declaredState, firstEnforced, type Declared } from "./declared.rows.ts";
import { selectRival, writeLive } from "./declared.sql.ts";
import { enact, type Enacted } from "./enact.ts";
import { imposedBy, markEnded } from "./end-incarnation.ts";
import type { Seen } from "./fence.ts";
import { refuseStaff } from "./parties.ts";
import { isOverAt, type RestrictionRow } from "./restrictions.rows.ts";
import { databaseNow } from "./restrictions.sql.ts";
import { declaredTerm, type Term } from "./term.ts";
import type { Wish } from "./wish.ts";

/** The account, locked, and what was read of the declaration under that lock. */
export interface Target {
  readonly subject: UserFacts;
  readonly seen: Seen;
}

/** What the wish comes to. */
interface Plan {
  readonly now: Date;
  readonly term: Term;
  /** Stands or is planned, and makes room. */
  readonly replaces: RestrictionRow | undefined;
  /** Was lifted by somebody else. */
  readonly repairs: RestrictionRow | undefined;
  readonly firstEnforcedAt: Date | null;
}

/** @throws Problem `restriction.staff_target`, `restriction.conflict`, `input.invalid`, all before anything is written */
export async function imposeWish(deps: { readonly clock: Clock }, tx: Tx, asked: Asked & Target): Promise<Applied> {
  const { wish, name, subject, seen } = asked;
  refuseStaff(subject, wish.staffAllowed);
  const [rival, now, former] = await Promise.all([selectRival(tx, subject.id, name), databaseNow(tx), formerOf(tx, asked)]);
  if (rival !== undefined) throw conflictWith(rival);
  const plan = planWish(asked, now, former);
  const told = seen.live === undefined ? [] : await makeRoom(tx, asked, seen.live);
  const { restriction, sessionsRevoked } = await carryOut(deps, tx, { ...asked, plan });
  const enforcedAt = restriction.start_announced_at === null ? null : plan.now;
  const declared = await writeLive(tx, {
    ...liveOf(asked, seen.own),
    userId: subject.id,
    restrictionId: restriction.id,
    firstEnforcedAt: plan.firstEnforcedAt ?? enforcedAt,
    sessionsRevoked,
  });
  const imposed: SecurityEvent = { kind: "restriction.imposed", userId: subject.id, reason: wish.reason };
  return { outcome: outcomeOf(plan), declared, told: [...told, imposed] };
}

/** What this declaration, or an older incarnation of it about the same account, imposed. */
async function formerOf(tx: Tx, { subject, seen: { own, live } }: Target): Promise<RestrictionRow | undefined> {
  return await imposedBy(tx, own ?? (live?.user_id === subject.id ? live : undefined));
}

function planWish({ wish, seen: { own } }: Asked & Target, now: Date, former: RestrictionRow | undefined): Plan {
  const replaces = former === undefined || isOverAt(former, now) ? undefined : former;
  const firstEnforcedAt = own === undefined ? null : firstEnforced(own);
  return {
    now,
    replaces,
    repairs: own !== undefined && declaredState(own) === "lifted" ? former : undefined,
    firstEnforcedAt,
    term: declaredTerm(now, wish, { firstEnforcedAt, goesOnFrom: goesOnFrom(replaces, wish) }),
  };
}

/** The start of what is replaced, where the account is as restricted as before: its sessions stay as they are, and no reader sees a gap. */
function goesOnFrom(replaces: RestrictionRow | undefined, wish: Wish): Date | undefined {
  if (replaces === undefined || replaces.start_announced_at === null) return undefined;
  return replaces.kind !== "limit" || wish.kind === "limit" ? replaces.starts_at : undefined;
}

/** An older incarnation about the same account hands its restriction over; about another account it ends with what it imposed. */
async function makeRoom(tx: Tx, asked: Asked & Target, live: Declared): Promise<SecurityEvent[]> {
  if (live.user_id !== asked.subject.id) return await endOther(tx, asked, live);
  await markEnded(tx, live, "lifted");
  return [];
}

interface Planned {
  readonly plan: Plan;
}

async function carryOut(deps: { readonly clock: Clock }, tx: Tx, asked: Asked & Target & Planned): Promise<Enacted> {
  const { wish, subject, plan } = asked;
  const { now, term, replaces, repairs } = plan;
  return await enact(tx, {
    id: newUuid(deps.clock),
    userId: subject.id,
    kind: wish.kind,
    reason: wish.reason,
    message: wish.message,
    capabilities: wish.capabilities,
    term,
    now,
    by: {
      actorId: null,
      facts: { ...factsOf(asked), ...(repairs === undefined ? {} : { repairs: repairs.id, liftedBy: repairs.lifted_by }) },
    },
    ...(wish.words === undefined ? {} : { note: wish.words }),
    ...(replaces === undefined ? {} : { replaces }),
  });
}

function outcomeOf({ repairs, replaces }: Plan): Applied["outcome"] {
  if (repairs !== undefined) return "repaired";
  return replaces === undefined ? "imposed" : "replaced";
}
