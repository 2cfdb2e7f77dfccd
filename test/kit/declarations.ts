/** Declared restrictions for tests: the real internal routes, their schemas included, without a listener. */

import type { DeclarationAnswer, DeclaredRestriction, RestrictionEnd, RestrictionWish } from "#src/contract/external-restrictions";
import { restrictions } from "#src/features/restrictions/feature";
import { parseInputs } from "#src/http/parse-input";
import type { Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import type { Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
}

/** What one test wishes, over a ban for spam that begins now. */
export type SomeWish = Partial<RestrictionWish> & Pick<RestrictionWish, "user">;

export const CREATED_AT = "2026-11-20T10:00:00Z";

/** A wish as the controller would send it. */
export function wishOf(some: SomeWish): RestrictionWish {
  return {
    uid: "uid-1",
    generation: 1,
    createdAt: CREATED_AT,
    kind: "ban",
    reason: "spam",
    requestedBy: "jane",
    staffAllowed: false,
    ...some,
  };
}

/** An end as the controller would send it. */
export function endOf(some: Partial<RestrictionEnd> = {}): RestrictionEnd {
  return { uid: "uid-1", generation: 1, createdAt: CREATED_AT, policy: "lift", note: "the object was deleted", ...some };
}

/** The routes as `user-service-controller` reaches them, of the source `kubernetes`. */
export class Declarations {
  readonly #needs: Needs & { readonly revocationsSettled: () => Promise<void> };
  readonly #caller: string;
  /** How often a route waited for the revocations to be read. */
  settled = 0;

  constructor({ db, clock, log }: Needs, caller = "user-service-controller") {
    this.#caller = caller;
    this.#needs = {
      db,
      clock,
      log,
      revocationsSettled: async () => {
        this.settled += 1;
      },
    };
  }

  put(externalId: string, wish: SomeWish): Promise<DeclarationAnswer> {
    return this.call("put", { params: { source: "kubernetes", externalId }, body: wishOf(wish) });
  }

  end(externalId: string, end: Partial<RestrictionEnd> = {}): Promise<DeclarationAnswer> {
    return this.call("delete", { params: { source: "kubernetes", externalId }, body: endOf(end) });
  }

  get(externalId: string): Promise<DeclaredRestriction> {
    return this.call("get", { params: { source: "kubernetes", externalId } });
  }

  list(query: object = {}): Promise<{ readonly data: readonly DeclaredRestriction[]; readonly nextAfter: string | null }> {
    return this.call("get", { params: { source: "kubernetes" }, query });
  }

  /** Any call, however wrong. @throws Problem */
  async call<Body>(
    method: "put" | "get" | "delete",
    given: { readonly params: object; readonly query?: object; readonly body?: unknown },
  ): Promise<Body> {
    const path = `/internal/restrictions/:source${"externalId" in given.params ? "/:externalId" : ""}`;
    const route = restrictions.internal.find((one) => one.method === method && one.path === path);
    if (route === undefined) throw new Error(`there is no ${method} ${path}`);
    const parsed = parseInputs([
      { place: "params", schema: route.params, given: given.params },
      ...(route.query === undefined ? [] : [{ place: "query", schema: route.query, given: given.query ?? {} } as const]),
      ...(route.body === undefined ? [] : [{ place: "body", schema: route.body, given: given.body } as const]),
    ]);
    const request = { ...parsed, caller: this.#caller, log: this.#needs.log, signal: AbortSignal.timeout(30_000) };
    const { status, body } = await route.handle(this.#needs, request as unknown as Parameters<typeof route.handle>[1]);
    return route.answers[status]?.body?.parse(body) as Body;
  }
}

/** What was refused. @throws Error when it was not */
export async function refusal(promise: Promise<unknown>): Promise<Problem> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof Problem) return error;
  throw new Error(`not refused: ${String(error)}`);
}

/** The code of the refusal. */
export const codeOf = async (promise: Promise<unknown>): Promise<string> => (await refusal(promise)).code;

/** How the account stands at this moment. */
export async function statusOf(db: Db, id: string): Promise<string | undefined> {
  return (await row<{ status: string }>(db, sql`select status from user_standings where user_id = ${id}::uuid`))?.status;
}

/** Types of the events about an account, the public ones first, each topic in its order. */
export async function events(db: Db, subject: string): Promise<string[]> {
  const found = await rows<{ type: string }>(
    db,
    sql`select type from outbox where subject = ${subject}::uuid order by topic desc, user_version`,
  );
  return found.map(({ type }) => type.replace("videamozi.user.", ""));
}

/** Types of the notices to an account. */
export async function notices(db: Db, userId: string): Promise<string[]> {
  const found = await rows<{ type: string }>(db, sql`select type from notices where user_id = ${userId}::uuid order by created_at, id`);
  return found.map(({ type }) => type);
}

/** An entry of the audit log. */
export interface Logged {
  readonly action: string;
  readonly actor_id: string | null;
  readonly facts: Record<string, unknown>;
  readonly details: Record<string, unknown> | null;
}

/** All of it, in its order. */
export async function auditLog(db: Db): Promise<Logged[]> {
  return await rows<Logged>(
    db,
    sql`select l.action, l.actor_id, l.facts, convert_from(d.content, 'UTF8')::jsonb as details
        from audit_log l left join audit_details d on d.audit_id = l.id order by l.id`,
  );
}

/** As if a restriction had begun and would end this much earlier. */
export async function age(db: Db, restrictionId: string | null, interval: string): Promise<void> {
  await affected(
    db,
    sql`update restrictions set starts_at = starts_at - ${interval}::interval, expires_at = expires_at - ${interval}::interval
        where id = ${restrictionId}::uuid`,
  );
  await affected(
    db,
    sql`update declared_restrictions set first_enforced_at = first_enforced_at - ${interval}::interval where restriction_id = ${restrictionId}::uuid`,
  );
}
