/** POST /api/auth/refresh, each time with the token of the last answer, against PostgreSQL doing the same rotation alone. */

import { execFile } from "node:child_process";
import { access, readdir, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { holdKeyRing } from "#src/features/sessions/key-ring-source";
import { createRefreshTokens } from "#src/features/sessions/refresh-token";
import { rotate } from "#src/features/sessions/refresh.sql";
import { systemClock } from "#src/kernel/clock";
import type { Bench, Database } from "../kit/bench.ts";
import { measureLoad, takeTurns, withCpu, type Measured } from "../kit/measure.ts";
import { cpuOf, rateOf, ratios } from "../kit/report.ts";
import type { Scenario } from "../kit/scenario.ts";
import { seedRefreshTokens, seedSessions, sessionIdOf } from "../kit/seed.ts";
import { filled, statementOf } from "../kit/statement.ts";

/** Clients, connections of the service to PostgreSQL, and clients of pgbench alike. */
const AT_ONCE = 16;
/** Sessions of one pgbench client in one round; when it has been through them it goes on with their next generation. */
const PER_CLIENT = 1_500;
/** Bytes of a sealed successor. */
const SEALED_BYTES = 190;
const run = promisify(execFile);

/**
 * Every refresh is the first of its session for a while, as in life, so it also writes `last_seen_at`. pgbench sends the
 * service's own statement, prepared, for one rotation each; what the service computes (token, hash, seal) is computed in SQL there.
 */
export const refresh: Scenario = {
  name: "refresh",
  summary: `POST /api/auth/refresh, ${AT_ONCE} at once; floor: pgbench with the same statement, prepared, ${AT_ONCE} clients`,
  run: async (bench) => {
    const database = await bench.database();
    const sessions = bench.pace.people;
    const requests = await sessionsToRefresh(bench, database, sessions);
    await database.settle();
    const [api, load] = [await bench.api(database, { DATABASE_MAX_CONNECTIONS: String(AT_ONCE) }), await bench.load()];
    await load.learn({ name: "refresh", requests, refreshes: true });
    const service = (durationMs: number): Promise<Measured> =>
      measureLoad(bench, load, { pid: api.pid, plan: { script: "refresh", port: api.port, connections: AT_ONCE, durationMs } });
    const pgbench = await findPgbench();
    if (pgbench === undefined) {
      const { refreshed } = await takeTurns(bench, { refreshed: service });
      return {
        sides: { refreshed },
        figures: [cpuFigure(refreshed)],
        notes: ["no pgbench on PATH or under /usr/lib/postgresql: no floor"],
      };
    }
    const sides = await takeTurns(bench, { refreshed: service, floor: await floorOf(bench, database, { pgbench, from: sessions + 1 }) });
    return {
      sides,
      figures: [
        {
          name: "refresh ÷ pgbench, rate",
          unit: "×",
          values: ratios(sides.refreshed, sides.floor, rateOf),
          target: { is: "at least", bound: 0.35 },
        },
        cpuFigure(sides.refreshed),
      ],
    };
  },
};

function cpuFigure(rounds: readonly Measured[]): {
  name: string;
  unit: "CPU-ms";
  values: number[];
  target: { is: "at most"; bound: number };
} {
  return {
    name: "CPU of a refresh, PostgreSQL's share included",
    unit: "CPU-ms",
    values: rounds.map(cpuOf),
    target: { is: "at most", bound: 2 },
  };
}

async function sessionsToRefresh(
  bench: Bench,
  database: Database,
  count: number,
): Promise<{ method: string; path: string; body: string }[]> {
  await seedSessions(database.client, { from: 1, count, seenMinutesAgo: 15 });
  const refreshTokens = createRefreshTokens(holdKeyRing(bench.ground.keyRing, systemClock));
  const tokens = Array.from({ length: count }, (_, number) => refreshTokens.make(sessionIdOf(number + 1), 0));
  await seedRefreshTokens(
    database.client,
    1,
    tokens.map(({ hash }) => hash),
  );
  return tokens.map(({ text }) => ({ method: "POST", path: "/api/auth/refresh", body: JSON.stringify({ refreshToken: text }) }));
}

/** Each round has sessions of its own, put there before it is timed: client c goes through them, and counts their generation. */
async function floorOf(
  bench: Bench,
  database: Database,
  given: { readonly pgbench: string; readonly from: number },
): Promise<(durationMs: number) => Promise<Measured>> {
  const names = ["session", "presented", "successor", "sealed"] as const;
  const [session, presented, successor, sealed] = names;
  const statement = await statementOf((db) =>
    rotate(db, {
      sessionId: session,
      hash: Buffer.from(presented),
      successorHash: Buffer.from(successor),
      sealed: Buffer.from(sealed),
      idleDays: 30,
    }),
  );
  const inSql = filled(statement, {
    "0": "array[0]",
    "30": "array[30]",
    session: "array[('01930000-0000-7000-9000-' || lpad(to_hex(:n::int), 12, '0'))]",
    presented: "array[sha256((:n::text || ':' || :g::text)::bytea)]",
    successor: "array[sha256((:n::text || ':' || (:g::int + 1)::text)::bytea)]",
    sealed: `array[decode(repeat('a7', ${SEALED_BYTES}), 'hex')]`,
  });
  const text = statement.text.replaceAll(/\$(\d+)/g, (_, number: string) => inSql[Number(number) - 1] ?? "").replaceAll(/\s+/g, " ");
  const file = join(bench.folder, "rotate.pgbench");
  const script = [
    `\\set n :from + :client_id * ${PER_CLIENT} + :i % ${PER_CLIENT}`,
    `\\set g :i / ${PER_CLIENT}`,
    `${text};`,
    "\\set i :i + 1",
  ];
  await writeFile(file, `${script.join("\n")}\n`);
  let { from } = given;
  return async (durationMs) => {
    const round = { ...given, from, file, seconds: Math.max(1, Math.round(durationMs / 1000)) };
    from += AT_ONCE * PER_CLIENT;
    return await pgbenchRound(bench, database, round);
  };
}

async function pgbenchRound(
  bench: Bench,
  { url, client }: Database,
  round: { readonly pgbench: string; readonly from: number; readonly file: string; readonly seconds: number },
): Promise<Measured> {
  const count = AT_ONCE * PER_CLIENT;
  await seedFloorSessions(client, round.from, count);
  const { hostname, port, username, password, pathname } = new URL(url);
  const args = ["-n", "-M", "prepared", "-c", String(AT_ONCE), "-j", "1", "-T", String(round.seconds), "-f", round.file];
  args.push("-D", "i=0", "-D", `from=${round.from}`, "-h", hostname, "-p", port, "-U", username, pathname.slice(1));
  const { result, postgresMs } = await withCpu(bench, [], () => run(round.pgbench, args, { env: { PGPASSWORD: password } }));
  const transactions = Number(/actually processed: (\d+)/.exec(result.stdout)?.[1]);
  const rate = Number(/tps = ([\d.]+)/.exec(result.stdout)?.[1]);
  const { rows } = await client.query<{ rotations: number }>(
    `select sum(generation)::int as rotations from refresh_tokens r join generate_series($1::int, $1::int + $2::int - 1) n
     on r.session_id = ('01930000-0000-7000-9000-' || lpad(to_hex(n), 12, '0'))::uuid`,
    [round.from, count],
  );
  if (rows[0]?.rotations !== transactions) throw new Error(`pgbench: ${transactions} transactions made ${rows[0]?.rotations} rotations`);
  return { rate, count: transactions, postgresCpuMs: postgresMs / transactions };
}

/** As the service's sessions, but with tokens that SQL can compute; all of person 1 to however many there are. */
async function seedFloorSessions(client: Database["client"], from: number, count: number): Promise<void> {
  await client.query(
    `with made as (
       insert into sessions (id, user_id, user_agent, address, created_at, last_seen_at, expires_at)
       select ('01930000-0000-7000-9000-' || lpad(to_hex(n), 12, '0'))::uuid,
         ('01930000-0000-7000-8000-' || lpad(to_hex(1 + n % (select count(*)::int from users)), 12, '0'))::uuid, 'pgbench', '203.0.113.7',
         now() - interval '1 hour', now() - interval '15 minutes', now() + interval '180 days'
       from generate_series($1::int, $1::int + $2::int - 1) n
     )
     insert into refresh_tokens (session_id, token_hash, made_at)
     select ('01930000-0000-7000-9000-' || lpad(to_hex(n), 12, '0'))::uuid, sha256((n || ':0')::bytea), now() - interval '15 minutes'
     from generate_series($1::int, $1::int + $2::int - 1) n`,
    [from, count],
  );
}

/** The embedded PostgreSQL brings none. */
async function findPgbench(): Promise<string | undefined> {
  const base = "/usr/lib/postgresql";
  const versions = await readdir(base).catch(() => []);
  const debian = versions.toSorted((a, b) => Number(b) - Number(a)).map((version) => join(base, version, "bin"));
  for (const folder of [...(process.env["PATH"] ?? "").split(delimiter), ...debian]) {
    const candidate = join(folder, "pgbench");
    if (
      await access(candidate).then(
        () => true,
        () => false,
      )
    )
      return candidate;
  }
  return undefined;
}
