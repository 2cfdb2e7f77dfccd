/**
 * Every attack of the hostile list and of the advisories on a running service: each without effect and refused as it should be, the
 * service well after each. `npm run test:hostile` prints what came of each.
 */

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { registerPerson, type ApiProcess, type SignedIn } from "../kit/service.ts";
import type { SocketClient } from "../kit/socket-client.ts";
import { printReport, type Outcome } from "./report.ts";
import { ROWS } from "./rows.ts";
import { startTarget, type Running } from "./target.ts";

const stack = new AsyncDisposableStack();
let target: Running;
let bystander: SignedIn;
let socket: SocketClient;
let pids: readonly number[];
let errorsTold = 0;
const outcomes: Outcome[] = [];

beforeAll(async () => {
  target = stack.use(await startTarget());
  bystander = await registerPerson(target.api.http, "bystander");
  socket = stack.use(await target.api.socket(bystander.accessToken));
  pids = processes().map(({ pid }) => pid);
}, 120_000);
afterAll(async () => {
  await stack.disposeAsync();
  if (process.env["HOSTILE_REPORT"] === "1") printReport(outcomes);
});

const processes = (): readonly [ApiProcess, ApiProcess, Running["worker"]] => [target.api, target.guarded, target.worker];
const errors = (): readonly string[] => processes().flatMap((one) => one.errors());

/** The same processes live, answer others, hold their sockets, and found nothing that they did not expect. */
async function isWell(): Promise<void> {
  expect(processes().map(({ pid }) => pid)).toEqual(pids);
  for (const pid of pids) expect(() => process.kill(pid, 0)).not.toThrow();
  for (const { http } of [target.api, target.guarded]) {
    expect((await http.get("/health")).status).toBe(200);
    expect((await http.get("/api/users/me", bystander.accessToken)).body).toMatchObject({ username: "bystander", roles: ["user"] });
  }
  expect(await socket.ask("token:refresh", { accessToken: bystander.accessToken })).toMatchObject({ ok: true });
  const unexpected = errors().slice(errorsTold);
  errorsTold += unexpected.length;
  expect(unexpected).toEqual([]);
}

describe.each([...new Set(ROWS.map(({ area }) => area))])("%s", (area) => {
  it.each(ROWS.filter((row) => row.area === area).map((row) => [row.name, row] as const))(
    "%s",
    async (_, row) => {
      const startedMs = performance.now();
      const outcome = (word: Outcome["outcome"]): void =>
        void outcomes.push({ ...row, outcome: word, ms: Math.round(performance.now() - startedMs) });
      try {
        await row.attack({ ...target, bystander });
        await isWell();
      } catch (error) {
        outcome("EFFECT");
        throw error;
      }
      outcome("refused");
    },
    60_000,
  );
});

it("has a row for every advisory of docs/security.md, and names every advisory of a row there", () => {
  const text = readFileSync(new URL("../../docs/security.md", import.meta.url), "utf8");
  const named = (/^## Advisories$(.*?)^## /ms.exec(text)?.[1] ?? "").match(/\b(?:CVE-\d+-\d+|GHSA(?:-\w{4}){3})\b/g) ?? [];
  const attacked = ROWS.flatMap(({ advisory }) => (advisory === undefined ? [] : [advisory as string]));
  expect([...new Set(named)].sort()).toEqual([...new Set(attacked)].sort());
});
