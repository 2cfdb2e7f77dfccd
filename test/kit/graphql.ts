/** The schema of people and sessions on a database of the test's own, asked without a server: what the real gate decides is tested where it lives. */

import { graphql } from "graphql";
import type { Db } from "#src/db/pool";
import { discovery } from "#src/features/discovery/feature";
import { graph } from "#src/features/graph/feature";
import { notices } from "#src/features/notices/feature";
import { preferences } from "#src/features/preferences/feature";
import { profiles } from "#src/features/profiles/feature";
import { sessions } from "#src/features/sessions/feature";
import { RequestContext } from "#src/graphql/context";
import { assembleSchema } from "#src/graphql/schema";
import type { Actor, Throttle } from "#src/kernel/actor";
import { systemClock } from "#src/kernel/clock";
import { silentLog } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { testClient } from "./sessions.ts";

interface Kit {
  readonly db: Db;
  /** There is no feed to wait for, unless one is given. */
  readonly revocationsSettled?: () => Promise<void>;
}

const schema = assembleSchema<ReturnType<typeof depsOf>>([
  preferences.graphql,
  notices.graphql,
  sessions.graphql,
  profiles.graphql,
  graph.graphql,
  discovery.graphql,
]);

function depsOf({ db, revocationsSettled = () => Promise.resolve() }: Kit) {
  return {
    db,
    clock: systemClock,
    log: silentLog,
    config: { avatarHosts: undefined, rateLimits: true },
    sessionLimits: { idleDays: 30, absoluteDays: 180, perUser: 0 },
    revocationsSettled,
  };
}

/** What came back: data as JSON has it, and the codes of what was refused, an unexpected error by its message. */
export interface GraphqlAnswer<Data> {
  readonly data: Data;
  readonly codes: readonly string[];
}

/** Asks as this actor. */
export async function askGraphql<Data = Record<string, unknown>>(
  kit: Kit,
  actor: Actor,
  source: string,
  more: { readonly variables?: Readonly<Record<string, unknown>>; readonly throttle?: Throttle } = {},
): Promise<GraphqlAnswer<Data>> {
  const contextValue = new RequestContext(depsOf(kit), {
    accessToken: actor.sessionId,
    client: testClient,
    gate: () => Promise.resolve(actor),
    throttle: more.throttle ?? (() => {}),
  });
  const { data, errors } = await graphql({ schema, source, variableValues: more.variables ?? {}, contextValue });
  return {
    data: JSON.parse(JSON.stringify(data ?? null)) as Data,
    codes: (errors ?? []).map(({ originalError, message }) => (originalError instanceof Problem ? originalError.code : message)),
  };
}
