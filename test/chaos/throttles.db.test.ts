/**
 * Four API processes share what they count through daprd and Redis; without their sidecars each counts for itself.
 *
 * The bound on tries that get through: the budget, exactly, while state answers in time. Compare-and-set lets none slip past; who loses
 * the race three times is refused. What state answers later than 250 ms is counted by that process for itself: one budget more each.
 */

import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { generateSync } from "otplib";
import { parseKeyRing } from "#src/features/sessions/key-ring";
import { holdKeyRing } from "#src/features/sessions/key-ring-source";
import { createOneTimeTokens } from "#src/features/one-time-tokens/public";
import { systemClock } from "#src/kernel/clock";
import type { Answer, ProblemBody } from "../kit/http-client.ts";
import { MESH_TOOLS, startMesh, type Beside, type Mesh } from "../kit/mesh.ts";
import { describeWithAll } from "../kit/requires.ts";
import { logIn, makeStaff, onDatabase, registerPerson, SIGNING_KEYS, type ApiProcess } from "../kit/service.ts";
import { until } from "../kit/until.ts";
import { healthOf, report, untilHealth } from "./broker-load.ts";

const PROCESSES = 4;
const BUDGET = 20;
const FACTOR_BUDGET = 10;
const TRIES = 5;
const FREE_TRIES = 4;
/** Of one purpose to one address in an hour. */
const MAILS = 5;

type Sent = Answer<ProblemBody & { readonly deviceToken: string; readonly mfa?: { readonly challenge: string } }>;

describeWithAll(MESH_TOOLS, "four API processes", (paths) => {
  const stack = new AsyncDisposableStack();
  let mesh: Mesh;
  let apis: readonly Beside<ApiProcess>[];

  beforeAll(async () => {
    mesh = stack.use(await startMesh(paths));
    apis = await Promise.all(Array.from({ length: PROCESSES }, () => mesh.startApi({ RATE_LIMITS: "on", TRUSTED_PROXY_HOPS: "1" })));
  }, 120_000);
  afterAll(() => stack.disposeAsync(), 60_000);

  /** From another address each time: what is counted here is the account's, wherever a guess comes from. */
  let addresses = 0;
  const post = (index: number, path: string, body: object): Promise<Sent> => {
    addresses += 1;
    const headers = { "x-forwarded-for": `10.${addresses >> 16}.${(addresses >> 8) & 255}.${addresses & 255}` };
    return (apis[index % PROCESSES] as Beside<ApiProcess>).process.http.send("POST", path, { body, headers });
  };
  const guess = (index: number, name: string, more: object = {}): Promise<Sent> =>
    post(index, "/api/auth/login", { emailOrUsername: name, password: `guess ${index}`, ...more });

  /** Guesses over all processes, `atOnce` at a time, until nothing but refusals came back a few times. @returns how many were compared */
  async function attack(atOnce: number, send: (index: number) => Promise<Sent>): Promise<number> {
    let compared = 0;
    let quiet = 0;
    for (let sent = 0; quiet < 3; sent += atOnce) {
      const answers = await Promise.all(Array.from({ length: atOnce }, (_, index) => send(sent + index)));
      const through = answers.filter(({ status }) => status !== 429);
      for (const { status } of through) expect([401, 403]).toContain(status);
      compared += through.length;
      // Who lost a race is told to come back at once, who has no budget left, later.
      const isUsedUp = through.length === 0 && answers.every(({ headers }) => Number(headers["retry-after"]) > 1);
      quiet = isUsedUp ? quiet + 1 : 0;
    }
    return compared;
  }

  /** A person, and the token of a device of theirs: its tries are one budget that nothing slows down. */
  async function withDevice(name: string): Promise<{ readonly deviceToken: string }> {
    await registerPerson((apis[0] as Beside<ApiProcess>).process.http, name);
    const { body } = await post(0, "/api/auth/login", { emailOrUsername: name, password: "correct horse battery" });
    return { deviceToken: body.deviceToken };
  }

  const sharing = async (): Promise<readonly string[]> => await Promise.all(apis.map(({ process }) => healthOf(process)));

  it("give one budget to a guesser, not four", async () => {
    const device = await withDevice("ann");
    await until(async () => (await sharing()).every((health) => !health.includes("throttles")));
    expect(await attack(PROCESSES, (index) => guess(index, "ann", device))).toBe(BUDGET);
    for (let index = 0; index < PROCESSES; index += 1) expect((await guess(index, "ann", device)).status).toBe(429);
  }, 60_000);

  it("give no more than one each, and the shared one, to a burst that state cannot keep up with", async () => {
    const device = await withDevice("bob");
    const compared = await attack(100, (index) => guess(index, "bob", device));
    report(`of a burst of 100 at a time ${compared} guesses were compared`);
    expect(compared).toBeLessThanOrEqual(BUDGET * (PROCESSES + 1));
    await until(async () => (await sharing()).every((health) => !health.includes("throttles")), { withinMs: 20_000 });
  }, 60_000);

  it("slow a guesser down together, and let the owner in when an admin says so", async () => {
    const http = (apis[0] as Beside<ApiProcess>).process.http;
    const owner = await registerPerson(http, "gina");
    const staff = await registerPerson(http, "root1");
    await makeStaff(mesh.database, staff, "admin");
    const first = await Promise.all(Array.from({ length: 4 * PROCESSES }, (_, index) => guess(index, "gina")));
    const compared = first.filter(({ status }) => status === 401).length;
    expect(compared).toBeLessThanOrEqual(FREE_TRIES);
    // Who lost the race for a free one takes what is left of them.
    for (let index = compared; index < FREE_TRIES; index += 1) expect((await guess(index, "gina")).status).toBe(401);
    // At once: after a second one of them would be let through.
    for (const { status, headers, body } of await Promise.all(Array.from({ length: PROCESSES }, (_, index) => guess(index, "gina")))) {
      expect([status, body.code, headers["retry-after"], headers["ratelimit-reset"], headers["ratelimit-remaining"]]).toEqual([
        429,
        "sign_in.throttled",
        "1",
        "1",
        "0",
      ]);
    }
    const forgotten = async (index: number): Promise<number> =>
      (await post(index % PROCESSES, "/api/auth/forgot-password", { email: owner.email })).status;
    for (let index = 0; index < MAILS; index += 1) expect(await forgotten(index)).toBe(202);
    expect(await forgotten(MAILS)).toBe(429);
    const admin = await logIn((apis[3] as Beside<ApiProcess>).process.http, "root1");
    const unlocked = await http.post(`/api/admin/users/${owner.id}/unlock`, { reason: "she called" }, admin.accessToken);
    expect(unlocked.status).toBe(204);
    expect((await post(2, "/api/auth/login", { emailOrUsername: "gina", password: owner.password })).status).toBe(200);
    expect(await forgotten(1)).toBe(202);
  }, 60_000);

  it("count the tries of a mailed code on its row", async () => {
    const codes = createOneTimeTokens(holdKeyRing(parseKeyRing(SIGNING_KEYS), systemClock));
    const codeOf = async (name: string): Promise<{ readonly email: string; readonly code: string; readonly tries: number }> => {
      const email = `${name}@example.com`;
      const [found] = await onDatabase<{ id: string; tries: number }>(
        mesh.database.adminUrl,
        "select id, tries from one_time_tokens where purpose = 'address' and email = $1",
        [email],
      );
      return { email, code: codes.code(found?.id ?? ""), tries: found?.tries ?? -1 };
    };
    const wrong = (code: string): string => String((Number(code) + 1) % 1_000_000).padStart(6, "0");
    const verify = (index: number, email: string, code: string): Promise<Sent> => post(index, "/api/auth/verify-email", { email, code });
    const http = (apis[0] as Beside<ApiProcess>).process.http;
    await Promise.all([registerPerson(http, "carl"), registerPerson(http, "cora")]);

    const carl = await codeOf("carl");
    const guesses = await Promise.all(Array.from({ length: 24 }, (_, index) => verify(index, carl.email, wrong(carl.code))));
    expect(new Set(guesses.map(({ body }) => body.code))).toEqual(new Set(["code.invalid"]));
    expect((await codeOf("carl")).tries).toBe(TRIES);
    expect((await verify(1, carl.email, carl.code)).body.code).toBe("code.invalid");

    const cora = await codeOf("cora");
    for (let index = 0; index < TRIES - 1; index += 1) await verify(index, cora.email, wrong(cora.code));
    expect((await verify(3, cora.email, cora.code)).status).toBe(200);
  }, 60_000);

  it("count the tries at a second factor on the challenge's row, and those of all challenges together", async () => {
    const person = await registerPerson((apis[0] as Beside<ApiProcess>).process.http, "dora");
    const http = (apis[1] as Beside<ApiProcess>).process.http;
    const offer = await http.post<{ secret: string }>("/api/auth/mfa/totp", undefined, person.accessToken);
    const right = generateSync({ secret: offer.body.secret });
    expect((await http.post("/api/auth/mfa/totp/confirm", { code: right }, person.accessToken)).status).toBe(200);
    const challengeOf = async (): Promise<string> =>
      (await post(2, "/api/auth/login", { emailOrUsername: "dora", password: person.password })).body.mfa?.challenge ?? "";
    const verify = (index: number, challenge: string): Promise<Sent> => post(index, "/api/auth/mfa/verify", { challenge, code: "000000" });
    const counted = async (): Promise<number> => {
      const rows = await onDatabase<{ tries: number }>(
        mesh.database.adminUrl,
        "select tries from one_time_tokens where purpose = 'mfa_challenge'",
      );
      return Math.max(...rows.map(({ tries }) => tries));
    };

    const first = await challengeOf();
    const answers = await Promise.all(Array.from({ length: 16 }, (_, index) => verify(index, first)));
    const wrong = answers.filter(({ body }) => body.code === "mfa.code_wrong").length;
    expect(wrong).toBeGreaterThan(0);
    expect(await counted()).toBe(wrong);
    expect(wrong).toBeLessThanOrEqual(TRIES);

    let all = 0;
    for (let challenges = 0; challenges < 8; challenges += 1) {
      const challenge = await challengeOf();
      for (let index = 0; index < 2 * PROCESSES; index += 1) if ((await verify(index, challenge)).body.code === "mfa.code_wrong") all += 1;
      expect(await counted()).toBeLessThanOrEqual(TRIES);
    }
    expect(wrong + all).toBeLessThanOrEqual(FACTOR_BUDGET);
  }, 60_000);

  it("count for themselves when their sidecars are killed, say so, let the honest in, and share again when those are back", async () => {
    const device = await withDevice("emil");
    for (const { daprd } of apis) daprd.program.signal("SIGKILL");
    await Promise.all(apis.map(({ daprd }) => daprd.program.exited));

    const compared = await attack(PROCESSES, (index) => guess(index, "emil", device));
    expect(compared).toBeGreaterThan(BUDGET);
    expect(compared).toBeLessThanOrEqual(BUDGET * PROCESSES);
    for (const { process } of apis) {
      const beganMs = performance.now();
      await logIn(process.http, "ann");
      expect(performance.now() - beganMs).toBeLessThan(2_000);
      // Health may be a second old, of before the kill.
      await untilHealth(process, /throttles degraded \(each process counts for itself\)/, 2_000);
    }

    await Promise.all(apis.map(({ daprd }) => daprd.restart().then(() => daprd.ready())));
    await until(async () => (await sharing()).every((health) => !health.includes("throttles")), { withinMs: 20_000 });
    const fresh = await withDevice("finn");
    expect(await attack(PROCESSES, (index) => guess(index, "finn", fresh))).toBe(BUDGET);
  }, 60_000);
});
