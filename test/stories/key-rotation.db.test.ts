/** Keys are replaced under load, and revoked, while two processes of the API and a worker run on the same secret. */

import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { freePort } from "#src/embedded/free-port";
import { generateKeyRing, readStoredKeyRing, type StoredKeyRing } from "#src/features/sessions/key-ring";
import { revokeKeys, rotateKeyRing } from "#src/features/sessions/key-rotation";
import { KEEP_SECONDS, LEAD_SECONDS } from "#src/features/sessions/key-states";
import { delay } from "#src/kernel/clock";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import {
  emptyDataDir,
  onDatabase,
  registerPerson,
  startApiProcess,
  startStandaloneProcess,
  startWorkerProcess,
  type ApiProcess,
  type ServiceProcess,
  type SignedIn,
} from "../kit/service.ts";
import { until } from "../kit/until.ts";

const stack = new AsyncDisposableStack();
/** Each process reads the ring once a second; with a busy machine in mind. */
const READ_WITHIN_MS = 2_000;
let database: TestDatabase;
let dataDir: string;
let apis: readonly [ApiProcess, ApiProcess];
let worker: ServiceProcess;

beforeAll(async () => {
  database = stack.use(await cloneDatabase());
  dataDir = await emptyDataDir();
  await mkdir(join(dataDir, "secrets"), { mode: 0o700 });
  await store(readStoredKeyRing(generateKeyRing()));
  const env = { DATA_DIR: dataDir, SECRET_SIGNING_KEYS: "", KEYS_REREAD_SECONDS: "1" };
  const [one, other, work] = await Promise.all([
    startApiProcess({ database, env }),
    startApiProcess({ database, env }),
    startWorkerProcess({ database, env }),
  ]);
  apis = [stack.use(one), stack.use(other)];
  worker = stack.use(work);
}, 60_000);
afterAll(() => stack.disposeAsync());

async function store(ring: StoredKeyRing): Promise<void> {
  const draft = join(dataDir, "secrets", "draft");
  await writeFile(draft, JSON.stringify(ring), { mode: 0o600 });
  await rename(draft, join(dataDir, "secrets", "signing-keys"));
}

async function stored(): Promise<StoredKeyRing> {
  return readStoredKeyRing(await readFile(join(dataDir, "secrets", "signing-keys"), "utf8"));
}

const kidOf = (token: string): string =>
  (JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString("utf8")) as { kid: string }).kid;
const inMs = (ms: number): string => new Date(Date.now() + ms).toISOString();

async function published(api: ApiProcess): Promise<string[]> {
  const { body } = await api.http.get<{ keys: { kid: string }[] }>("/.well-known/jwks.json");
  return body.keys.map(({ kid }) => kid);
}

async function allPublish(kids: readonly string[], withinMs = READ_WITHIN_MS): Promise<void> {
  for (const api of apis)
    await until(async () => JSON.stringify(await published(api)) === JSON.stringify(kids), { withinMs, what: `the keys ${kids.join()}` });
}

/** One client: refreshes at one process, uses the new token at the other and then at both, and notes every answer. */
async function load(person: SignedIn, index: number, signal: AbortSignal): Promise<{ counts: Map<string, number>; kids: Set<string> }> {
  let { refreshToken } = person;
  const counts = new Map<string, number>();
  const kids = new Set<string>();
  const note = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);
  for (let turn = index; !signal.aborted; turn += 1) {
    const [here, there] = turn % 2 === 0 ? apis : ([apis[1], apis[0]] as const);
    const { status, body } = await here.http.post<{ accessToken: string; refreshToken: string }>("/api/auth/refresh", { refreshToken });
    note(`refresh ${status}`);
    if (status !== 200) break;
    ({ refreshToken } = body);
    kids.add(kidOf(body.accessToken));
    for (const api of [there, here, there]) note(`me ${(await api.http.get("/api/users/me", body.accessToken)).status}`);
  }
  return { counts, kids };
}

describe("signing keys", () => {
  it("are replaced three times under load without one refused token, and the old ones go", async () => {
    const people = await Promise.all(Array.from({ length: 6 }, (_, index) => registerPerson(apis[0].http, `load${index}`)));
    const stop = new AbortController();
    const loads = people.map((person, index) => load(person, index, stop.signal));
    let [{ kid: signer }] = (await stored()).accessKeys;
    const signers = [signer];
    for (let round = 0; round < 3; round += 1) {
      // As if the lead had begun so long ago that 2.5 s are left of it.
      const now = new Date(Date.now() - LEAD_SECONDS * 1000 + 2_500);
      const rotation = rotateKeyRing(await stored(), { now, refresh: round === 1 });
      expect(rotation.access).toBe("added");
      const [fresh, old] = rotation.ring.accessKeys;
      await store(rotation.ring);
      await allPublish([fresh.kid, signer]);
      const before = await registerPerson(apis[1].http, `before${round}`);
      expect(kidOf(before.accessToken)).toBe(signer);

      await until(async () => kidOf((await registerPerson(apis[0].http, `after${round}x${Date.now()}`)).accessToken) === fresh.kid, {
        everyMs: 250,
        what: "the new key to sign",
      });
      for (const api of apis) expect((await api.http.get("/api/users/me", before.accessToken)).status).toBe(200);
      // As if its keeping had begun so long ago that 1.5 s are left of it.
      const retiredAt = inMs(1_500 - KEEP_SECONDS.access * 1000);
      await store({
        ...rotation.ring,
        accessKeys: [
          { ...fresh, notBefore: retiredAt },
          { ...(old as typeof fresh), retiredAt },
        ],
      });
      await allPublish([fresh.kid], 5_000);
      for (const api of apis) expect((await api.http.get("/api/users/me", before.accessToken)).status).toBe(401);
      signer = fresh.kid;
      signers.push(signer);
    }
    stop.abort();
    const done = await Promise.all(loads);

    const counts = new Map<string, number>();
    for (const [what, count] of done.flatMap((one) => [...one.counts])) counts.set(what, (counts.get(what) ?? 0) + count);
    process.stdout.write(`under three rotations: ${JSON.stringify([...counts])}\n`);
    expect([...counts.keys()].sort()).toEqual(["me 200", "refresh 200"]);
    expect(new Set(done.flatMap(({ kids }) => [...kids]))).toEqual(new Set(signers));
    expect((await stored()).refreshKeys).toHaveLength(2);
  }, 60_000);

  it("that are revoked take every access token along within two seconds, on every process and socket, and no session", async () => {
    const ann = await registerPerson(apis[0].http, "ann");
    const bob = await registerPerson(apis[1].http, "bob");
    using onFirst = await apis[0].socket(ann.accessToken);
    using onSecond = await apis[1].socket(bob.accessToken);
    for (const api of apis)
      for (const { accessToken } of [ann, bob]) expect((await api.http.get("/api/users/me", accessToken)).status).toBe(200);

    const revokedMs = performance.now();
    await store(revokeKeys(await stored(), { now: new Date(), refresh: false }));
    for (const api of apis) {
      for (const { accessToken } of [ann, bob])
        await until(async () => (await api.http.get("/api/users/me", accessToken)).body.code === "token.invalid", {
          withinMs: 2_000,
          what: "the old token to be refused",
        });
    }
    const tookMs = performance.now() - revokedMs;
    process.stdout.write(`revoked everywhere after ${tookMs.toFixed(0)} ms\n`);
    expect(tookMs).toBeLessThan(2_000);
    await Promise.all([onFirst.closes(3_000), onSecond.closes(3_000)]);
    for (const [index, { refreshToken }] of [ann, bob].entries()) {
      const next = await apis[index === 0 ? 1 : 0].http.post<{ accessToken: string }>("/api/auth/refresh", { refreshToken });
      expect(next.status).toBe(200);
      for (const api of apis) expect((await api.http.get("/api/users/me", next.body.accessToken)).status).toBe(200);
    }
  });

  it("for refresh tokens that are revoked end every session's, and links are made with the new ones", async () => {
    const eve = await registerPerson(apis[0].http, "eve");
    const seen = new Set<string>();
    const resetLink = async (): Promise<string> => {
      await apis[0].http.post("/api/auth/forgot-password", { email: eve.email });
      const link = await until(async () => {
        const mails = await onDatabase<{ text_body: string }>(
          database.adminUrl,
          "select text_body from mailbox where recipient = $1 and subject = 'Set a new password' order by sent_at desc limit 1",
          [eve.email],
        );
        const found = /\/confirm\/([\w-]+)$/m.exec(mails[0]?.text_body ?? "")?.[1];
        return found === undefined || seen.has(found) ? undefined : found;
      });
      seen.add(link);
      return link;
    };
    const asked = (link: string): Promise<number> => apis[1].http.get(`/confirm/${link}`).then(({ status }) => status);
    const old = await resetLink();
    expect(await asked(old)).toBe(200);

    const revoked = revokeKeys(await stored(), { now: new Date(), refresh: true });
    await store(revoked);
    for (const api of apis) {
      await until(async () => (await api.http.get("/api/users/me", eve.accessToken)).status === 401);
      const { status, body } = await api.http.post("/api/auth/refresh", { refreshToken: eve.refreshToken });
      expect([status, body.code]).toEqual([401, "refresh.invalid"]);
    }
    expect(await asked(old)).not.toBe(200);
    await until(() => worker.program.output.includes(revoked.accessKeys[0].kid), { what: "the worker to have read them" });
    expect(await asked(await resetLink())).toBe(200);
  });

  it("that are damaged in the store change nothing: one error in each log, and health tells", async () => {
    const before = await stored();
    const ida = await registerPerson(apis[0].http, "ida");
    await writeFile(join(dataDir, "secrets", "signing-keys"), JSON.stringify(before).slice(0, 100));
    for (const api of apis) {
      const health = await until(async () => {
        const { body } = await api.http.get<{ services: Record<string, { state: string; detail?: string }> }>("/health/services");
        return body.services["signing_keys"]?.state === "degraded" ? body.services["signing_keys"] : undefined;
      });
      expect(health.detail).toMatch(/refused, it is not JSON .*those of before are in use/);
      expect((await api.http.get("/api/users/me", ida.accessToken)).status).toBe(200);
      expect((await api.http.get<string>("/metrics")).body).toMatch(/^signing_keys_trouble 1$/m);
    }
    await delay(2_500);
    expect(apis.map((api) => api.errors().map((line) => /"message":"([^"]+)"/.exec(line)?.[1]))).toEqual(
      apis.map(() => ["the stored signing keys are refused; those of before stay"]),
    );
    await store(before);
    for (const api of apis) await until(async () => /^signing_keys_trouble 0$/m.test((await api.http.get<string>("/metrics")).body));
    expect((await apis[0].http.get<string>("/metrics")).body).toMatch(/^signing_keys_age_seconds \d/m);
  });
});

describe("npm start", () => {
  it("replaces keys that are old: two at once on one folder add one key, and both publish it", async () => {
    await using own = await cloneDatabase();
    const folder = await emptyDataDir();
    await mkdir(join(folder, "secrets"), { mode: 0o700 });
    const path = join(folder, "secrets", "signing-keys");
    await writeFile(path, generateKeyRing(new Date(Date.now() - 31 * 24 * 60 * 60_000)), { mode: 0o600 });
    const env = { DATABASE_URL: own.adminUrl, KEYS_REREAD_SECONDS: "1", BCRYPT_COST: "4" };
    // Beside a daprd, which is not there yet and may have no secret store, the keys are those of the folder too.
    const ports = { SIDECAR_PORT: String(await freePort()), DAPR_HTTP_PORT: String(await freePort()) };
    const besideDaprd = { ...env, ...ports, SIDECAR: "dapr", APP_API_TOKEN: "what-daprd-shows-us" };
    await using starting = new AsyncDisposableStack();
    const start = async (more: Readonly<Record<string, string>>): Promise<ApiProcess> =>
      starting.use(await startStandaloneProcess({ dataDir: folder, port: await freePort(), env: more }));
    const two = await Promise.all([start(env), start(besideDaprd)]);
    // It begins when a process serves.
    const kids = await until(async () => {
      const found = readStoredKeyRing(await readFile(path, "utf8")).accessKeys.map(({ kid }) => kid);
      return found.length === 1 ? undefined : found;
    });
    expect(kids).toHaveLength(2);
    for (const one of two) await until(async () => JSON.stringify(await published(one)) === JSON.stringify(kids), { what: "both keys" });
    const additions = (): number => two.flatMap((one) => one.logged("a new signing key was added")).length;
    await until(additions, { what: "the addition in a log" });
    expect(additions()).toBe(1);
    expect(two.flatMap((one) => one.errors())).toEqual([]);
  }, 60_000);
});
