/** Whether the time of an answer tells which addresses have an account: pairs of one that has and one that has not, one after the other. */

import { delay } from "#src/kernel/clock";
import type { Bench, Database } from "../kit/bench.ts";
import { HttpConnection, httpRequest } from "../kit/http-connection.ts";
import type { Figure } from "../kit/report.ts";
import type { Scenario } from "../kit/scenario.ts";
import { quantile, spreadOf } from "../kit/statistics.ts";
import { peopleWhoLogIn } from "./login.ts";

const PACE = { runs: 3, pairs: 200, warmUpPairs: 20 };
const QUICK_PACE = { runs: 1, pairs: 20, warmUpPairs: 5 };
/** Of `peopleWhoLogIn`. */
const PEOPLE = 500;
/** So long a new process is left alone, its garbage collected, before it is asked. */
const REST_MS = 1_000;
const PASSWORD = "not the password of anybody";
const COLLECTS = `--expose-gc --import=${new URL("../programs/collect-on-signal.ts", import.meta.url).href}`;

/** What is asked, for an address that has an account and for one that has not. */
interface Door {
  readonly name: string;
  readonly path: string;
  readonly status: number;
  readonly body: (email: string, index: number) => object;
}

const DOORS: readonly Door[] = [
  {
    name: "register",
    path: "/api/auth/register",
    status: 202,
    body: (email, index) => ({ email, username: `asked${index}_${Math.random().toString(36).slice(2, 8)}`, password: PASSWORD }),
  },
  { name: "login", path: "/api/auth/login", status: 401, body: (email) => ({ emailOrUsername: email, password: PASSWORD }) },
  { name: "forgot-password", path: "/api/auth/forgot-password", status: 202, body: (email) => ({ email }) },
  { name: "resend-verification", path: "/api/auth/resend-verification", status: 202, body: (email) => ({ email }) },
  { name: "magic-link", path: "/api/auth/magic-link", status: 202, body: (email) => ({ email }) },
];

/** Medians of one run, in ms. */
interface Run {
  readonly existingMs: number;
  readonly absentMs: number;
}

export const enumeration: Scenario = {
  name: "enumeration",
  summary: `time of the answer for an address with an account ÷ one without, median of ${PACE.pairs} interleaved pairs, REGISTRATION=verified`,
  run: async (bench) => {
    const database = await bench.database();
    // Their addresses, and passwords to compare with.
    await peopleWhoLogIn(database);
    await database.settle();
    const { runs } = bench.pace.quick ? QUICK_PACE : PACE;
    const measured = new Map<Door, Run[]>(DOORS.map((door) => [door, []]));
    // All doors once, then all once more: a run of one door is not a moment after the last.
    for (let run = 0; run < runs; run += 1) {
      for (const [door, before] of measured) before.push(await runOf(bench, database, door));
    }
    return {
      sides: {},
      figures: Array.from(measured, ([door, found]) => figureOf(door, found)),
      notes: [
        "a value a run: the median of three is kept where two of them are; pairs in both orders in turn, one connection, no worker beside it",
        "POST /api/auth/passkeys/login/options takes neither name nor address, so that it cannot tell",
      ],
    };
  },
};

/** The greater by the lesser: an answer that is faster tells as much as one that is slower. */
function figureOf({ name }: Door, runs: readonly Run[]): Figure {
  const ms = (of: (run: Run) => number): string => spreadOf(runs.map(of)).median.toFixed(2);
  return {
    name: `${name}: ${ms(({ existingMs }) => existingMs)} ms with, ${ms(({ absentMs }) => absentMs)} ms without; the greater ÷ the lesser`,
    unit: "×",
    values: runs.map(({ existingMs, absentMs }) => Math.max(existingMs / absentMs, absentMs / existingMs)),
    target: { is: "at most", bound: 1.1 },
  };
}

async function runOf(bench: Bench, database: Database, door: Door): Promise<Run> {
  const { pairs, warmUpPairs } = bench.pace.quick ? QUICK_PACE : PACE;
  const api = await bench.api(database, { REGISTRATION: "verified", EMAIL_SIGN_IN: "on", NODE_OPTIONS: COLLECTS });
  using connection = await HttpConnection.open(api.port);
  const ask = async (email: string, index: number): Promise<number> => {
    const request = httpRequest({ method: "POST", path: door.path, body: JSON.stringify(door.body(email, index)) });
    const startMs = performance.now();
    const { status, body } = await connection.send(request);
    const tookMs = performance.now() - startMs;
    if (status !== door.status) throw new Error(`${door.path} answered ${status}: ${body()}`);
    return tookMs;
  };
  process.kill(api.pid, "SIGUSR2");
  await delay(REST_MS);
  const [existing, absent]: [number[], number[]] = [[], []];
  for (let index = 0; index < warmUpPairs + pairs; index += 1) {
    const number = (index % PEOPLE) + 1;
    const askExisting = async (): Promise<number> => await ask(`person${number}@example.com`, index);
    const askAbsent = async (): Promise<number> => await ask(`nobody${number}@example.com`, index);
    // Each order as often as the other: what comes second finds something warm.
    const existingFirst = index % 2 === 0;
    const first = await (existingFirst ? askExisting() : askAbsent());
    const second = await (existingFirst ? askAbsent() : askExisting());
    if (index < warmUpPairs) continue;
    existing.push(existingFirst ? first : second);
    absent.push(existingFirst ? second : first);
  }
  await api.program[Symbol.asyncDispose]();
  return { existingMs: quantile(existing, 0.5), absentMs: quantile(absent, 0.5) };
}
