/** Signing in by a passkey alone: the question, and the answer signed by its key, against the same statements alone. */

import { generateKeyPairSync, randomBytes, sign, verify } from "node:crypto";
import { checkRegistration, creationOptions, requestOptions, userHandle } from "#src/features/factors/webauthn";
import { loginByPasskey } from "#src/features/sign-in/passkey-login";
import { createAuthenticator, type Authenticator } from "../../test/kit/authenticator.ts";
import type { Database } from "../kit/bench.ts";
import { measureLoad, takeTurns } from "../kit/measure.ts";
import { hexOf, recorded } from "../kit/recording.ts";
import { cpuOf } from "../kit/report.ts";
import type { Scenario } from "../kit/scenario.ts";
import { userIdOf } from "../kit/seed.ts";
import {
  ask,
  AT_ONCE,
  contestants,
  contestFigures,
  namesOfSession,
  ORIGIN,
  seedKnownDevices,
  signInApi,
  signInParts,
  statementsNote,
  type Prepared,
  type SignInParts,
} from "../kit/sign-ins.ts";

/** A key each takes a while to make. */
const PEOPLE_AT_MOST = 20_000;
/** Signatures checked to find out what one costs. */
const CHECKS = 2_000;

interface Answer {
  readonly number: number;
  readonly challengeId: string;
  readonly response: ReturnType<Authenticator["get"]>;
}

export const passkey: Scenario = {
  name: "passkey",
  summary: `POST /api/auth/passkeys/login, ES256, ${AT_ONCE} at once; floor: node:http, a signature checked, one made, the same statements in one round trip`,
  run: async (bench) => {
    const people = Math.min(bench.pace.people, PEOPLE_AT_MOST);
    const database = await bench.database();
    const parts = signInParts(bench, database);
    await seedKnownDevices(database, people);
    const authenticators = await seedPasskeys(database, parts, people);
    await database.settle();
    const [first] = await answersOf(parts, authenticators, [1]);
    if (first === undefined) throw new Error("nobody answers");
    const statements = await recorded(
      () => loginByPasskey(parts, { response: first.response, client: parts.client }),
      (loggedIn) => ({ ...namesOf(first), ...namesOfSession(loggedIn) }),
    );
    const prepare = async (numbers: readonly number[]): Promise<Prepared[]> =>
      (await answersOf(parts, authenticators, numbers)).map((answer) => ({
        request: { method: "POST", path: "/api/auth/passkeys/login", body: JSON.stringify({ response: answer.response }) },
        names: namesOf(answer),
      }));
    const [api, load] = [await signInApi(bench, database), await bench.load()];
    await load.learn({ name: "options", requests: [{ method: "POST", path: "/api/auth/passkeys/login/options" }] });
    const sides = await takeTurns(bench, {
      ...(await contestants(bench, database, { api, load, proof: "passkey", statements, people, prepare })),
      options: (durationMs: number) =>
        measureLoad(bench, load, { pid: api.pid, plan: { script: "options", port: api.port, connections: AT_ONCE, durationMs } }),
    });
    const withOptions = sides.service.map((finish, round) => cpuOf(finish) + cpuOf(sides.options[round] ?? finish));
    return {
      sides,
      figures: [
        ...contestFigures(sides),
        { name: "CPU of a sign-in, its options and PostgreSQL's share included", unit: "CPU-ms", values: withOptions },
      ],
      notes: [statementsNote(statements), `one ES256 crypto.verify: ${checkCpuMs().toFixed(3)} CPU-ms`],
    };
  },
};

function namesOf({ number, challengeId, response }: Answer): Record<string, string> {
  return { user: userIdOf(number), token: challengeId, passkey: hexOf(Buffer.from(response.id, "base64url")) };
}

/** A challenge for each of them, signed by their key. */
async function answersOf(parts: SignInParts, authenticators: readonly Authenticator[], numbers: readonly number[]): Promise<Answer[]> {
  const ids = await ask(parts.db, numbers, "passkey_login");
  return numbers.map((number, place) => {
    const [challengeId = "", authenticator] = [ids[place], authenticators[number - 1]];
    if (authenticator === undefined) throw new Error(`person ${number} has no passkey`);
    return { number, challengeId, response: authenticator.get(requestOptions(parts, parts.oneTimeTokens.linkText(challengeId))) };
  });
}

/** One passkey, synced (it does not count), for people 1 to `count`: what holds it. */
async function seedPasskeys({ client }: Database, parts: SignInParts, count: number): Promise<Authenticator[]> {
  const held: { authenticator: Authenticator; id: Buffer; publicKey: Buffer }[] = [];
  for (let number = 1; number <= count; number += 1) {
    const authenticator = createAuthenticator({ origin: ORIGIN, counts: false });
    const account = { id: userIdOf(number), username: `person${number}`, displayName: `Person ${number}`, passkeys: [] };
    const challenge = userHandle(account.id);
    const response = authenticator.create(creationOptions(parts, account, challenge));
    const { id, publicKey } = await checkRegistration(parts, { response, challenge });
    held.push({ authenticator, id: Buffer.from(id, "base64url"), publicKey });
  }
  await client.query(
    `insert into passkeys (id, user_id, public_key, counter, transports, name, backed_up)
     select id, user_id, public_key, 0, '{internal,hybrid}', 'Laptop', false
     from unnest($1::bytea[], $2::uuid[], $3::bytea[]) as given (id, user_id, public_key)`,
    [held.map(({ id }) => id), held.map((_, place) => userIdOf(place + 1)), held.map(({ publicKey }) => publicKey)],
  );
  return held.map(({ authenticator }) => authenticator);
}

function checkCpuMs(): number {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const signed = randomBytes(69);
  const signature = sign("sha256", signed, privateKey);
  const before = process.cpuUsage();
  for (let done = 0; done < CHECKS; done += 1) verify("sha256", signed, publicKey, signature);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / CHECKS;
}
