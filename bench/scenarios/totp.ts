/** POST /api/auth/mfa/verify with a code of an authenticator app, against the same statements alone. */

import { generateSync } from "otplib";
import type { Seals } from "#src/features/factors/public";
import { totpAbout } from "#src/features/factors/second-factor";
import { newTotpSecret } from "#src/features/factors/totp";
import { answerChallenge } from "#src/features/sign-in/answer-challenge";
import { systemClock } from "#src/kernel/clock";
import type { Database } from "../kit/bench.ts";
import { takeTurns } from "../kit/measure.ts";
import { recorded } from "../kit/recording.ts";
import { cpuOf } from "../kit/report.ts";
import type { Scenario } from "../kit/scenario.ts";
import { userIdOf } from "../kit/seed.ts";
import {
  ask,
  AT_ONCE,
  contestants,
  contestFigures,
  namesOfSession,
  seedKnownDevices,
  signInApi,
  signInParts,
  statementsNote,
  type Prepared,
  type SignInParts,
} from "../kit/sign-ins.ts";

const STEP_SECONDS = 30;

interface Answer {
  readonly number: number;
  readonly challengeId: string;
  readonly challenge: string;
  readonly code: string;
  readonly step: number;
}

export const totp: Scenario = {
  name: "totp",
  summary: `POST /api/auth/mfa/verify by a code, ${AT_ONCE} at once; floor: node:http, HMAC, ES256 signature, the same statements in one round trip`,
  run: async (bench) => {
    const { people } = bench.pace;
    const database = await bench.database();
    const parts = signInParts(bench, database);
    await seedKnownDevices(database, people);
    const secrets = await seedSecrets(database, parts.seals, people);
    await database.settle();
    const [first] = await answersOf(parts, secrets, [1]);
    if (first === undefined) throw new Error("nobody answers");
    const statements = await recorded(
      () => answerChallenge(parts, { challenge: first.challenge, code: first.code, client: parts.client }),
      (answered) => ({ ...namesOf(first), ...namesOfSession(answered) }),
    );
    const prepare = async (numbers: readonly number[]): Promise<Prepared[]> =>
      (await answersOf(parts, secrets, numbers)).map((answer) => ({
        request: {
          method: "POST",
          path: "/api/auth/mfa/verify",
          body: JSON.stringify({ challenge: answer.challenge, code: answer.code }),
        },
        names: namesOf(answer),
      }));
    const [api, load] = [await signInApi(bench, database), await bench.load()];
    const sides = await takeTurns(bench, await contestants(bench, database, { api, load, proof: "totp", statements, people, prepare }));
    return {
      sides,
      figures: [
        ...contestFigures(sides),
        { name: "CPU of an answer, PostgreSQL's share included", unit: "CPU-ms", values: sides.service.map(cpuOf) },
      ],
      notes: [statementsNote(statements)],
    };
  },
};

function namesOf({ number, challengeId, step }: Answer): Record<string, string> {
  return { user: userIdOf(number), token: challengeId, step: String(step) };
}

/** A challenge for each of them, and a code of the step after this one: it is good from now on, and for a minute more. */
async function answersOf({ db, oneTimeTokens }: SignInParts, secrets: readonly string[], numbers: readonly number[]): Promise<Answer[]> {
  const ids = await ask(db, numbers, "mfa_challenge");
  const step = Math.floor(systemClock.now().getTime() / 1000 / STEP_SECONDS) + 1;
  return numbers.map((number, place) => {
    const [challengeId = "", secret = ""] = [ids[place], secrets[number - 1]];
    const code = generateSync({ secret, epoch: step * STEP_SECONDS });
    return { number, challengeId, challenge: oneTimeTokens.linkText(challengeId), code, step };
  });
}

/** A confirmed authenticator app for people 1 to `count`: their secrets. */
async function seedSecrets({ client }: Database, seals: Seals, count: number): Promise<string[]> {
  const secrets = Array.from({ length: count }, newTotpSecret);
  const sealed = secrets.map((secret, place) => seals.seal(Buffer.from(secret), totpAbout(userIdOf(place + 1))));
  await client.query(
    `insert into totp_factors (user_id, sealed, kid, confirmed_at)
     select user_id, sealed, $3, now() from unnest($1::uuid[], $2::bytea[]) as given (user_id, sealed)`,
    [secrets.map((_, place) => userIdOf(place + 1)), sealed.map((one) => one.sealed), sealed[0]?.kid],
  );
  return secrets;
}
