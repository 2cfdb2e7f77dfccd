import { expect } from "@jest/globals";
import type { Answer } from "../../kit/http-client.ts";
import type { ApiProcess } from "../../kit/service.ts";
import { almost, rowsOf, told } from "../row.ts";
import { tally, type Body, type Target } from "../target.ts";

const refresh = (at: ApiProcess, refreshToken: unknown): Promise<Answer<Body>> => at.http.post<Body>("/api/auth/refresh", { refreshToken });

async function rotated(at: ApiProcess, refreshToken: string, turns: number): Promise<string> {
  let newest = refreshToken;
  for (let turn = 0; turn < turns; turn += 1) {
    const answer = await refresh(at, newest);
    expect(told(answer)).toBe("200");
    newest = answer.body.refreshToken;
  }
  return newest;
}

/** A replay is theft, and ends the session for whoever holds the newest. */
async function replayed(at: ApiProcess, old: string, newest: string, accessToken: string): Promise<void> {
  expect(told(await refresh(at, old))).toBe("401 refresh.reused");
  expect(told(await refresh(at, newest))).toBe("401 session.revoked");
  expect(told(await at.http.get("/api/users/me", accessToken))).toBe("401 session.revoked");
}

export const refreshTokenRows = rowsOf("refresh token", [
  [
    "presented thirty times at once to two processes: one successor, never two",
    async (target) => {
      const { refreshToken, accessToken } = await target.newcomer();
      const processes = [target.api, target.guarded];
      const answers = await Promise.all(
        Array.from({ length: 30 }, (_, index) => refresh(processes[index % 2] as ApiProcess, refreshToken)),
      );
      expect(tally(answers, told)).toEqual({ 200: 30 });
      const successors = new Set(answers.map(({ body }) => body.refreshToken));
      expect(successors.size).toBe(1);
      const newest = await rotated(target.guarded, [...successors][0] ?? "", 2);
      await replayed(target.api, refreshToken, newest, accessToken);
    },
    "GHSA-m2w5-7xhv-w6fh",
  ],
  [
    "replayed at a process that has just been started and has seen nothing",
    async (target) => {
      const { refreshToken, accessToken } = await target.newcomer();
      const newest = await rotated(target.guarded, refreshToken, 3);
      await using after = await target.start();
      await replayed(after, refreshToken, newest, accessToken);
      expect(after.errors()).toEqual([]);
    },
    "CVE-2026-9802",
  ],
  [
    "cut, extended or spelled otherwise is none, and uses nothing up",
    async (target) => {
      const { refreshToken } = await target.newcomer();
      const [kid = "", payload = "", mac = ""] = refreshToken.split(".");
      const texts = [
        ...almost(refreshToken),
        ...almost(payload).map((text) => [kid, text, mac].join(".")),
        [kid, payload].join("."),
        [kid, payload, ""].join("."),
        ["", payload, mac].join("."),
        [kid, payload, mac, mac].join("."),
        [kid, mac, payload].join("."),
      ];
      for (const text of texts)
        expect([text, told(await refresh(target.api, text))]).toEqual([text, expect.stringMatching(/^401 refresh.invalid|^400 /)]);
      await rotated(target.api, refreshToken, 3);
    },
    "GHSA-6mq3-xmgp-pjm5",
  ],
  [
    "no text at all",
    async ({ api }) => {
      for (const text of [null, 7, {}, [], [""], "", "x".repeat(60_000)])
        expect(told(await refresh(api, text))).toMatch(/^401 refresh.invalid|^400 input.invalid/);
    },
  ],
  [
    "an access token, a challenge and another's device token in its place",
    async (target) => {
      const person = await target.withApp();
      const texts = [person.accessToken, await target.challengeOf(person), (await deviceOf(target)).deviceToken];
      for (const text of texts) expect(told(await refresh(target.api, text))).toBe("401 refresh.invalid");
    },
  ],
]);

/** Somebody's device that has signed in before. */
async function deviceOf(target: Target): Promise<Body> {
  const { username, password } = await target.newcomer();
  return (await target.api.http.post<Body>("/api/auth/login", { emailOrUsername: username, password })).body;
}

export const lookUpRows = rowsOf("look-ups", [
  [
    "a trusted device's token cut, extended or spelled otherwise trusts nobody",
    async (target) => {
      const { http } = target.api;
      const person = await target.withApp();
      const body = { challenge: await target.challengeOf(person), code: person.code(), trustDevice: true };
      const { deviceToken } = (await http.post<Body>("/api/auth/mfa/verify", body)).body;
      const login = async (text: string): Promise<string> =>
        told(await http.post("/api/auth/login", { emailOrUsername: person.username, password: person.password, deviceToken: text }));
      for (const text of almost(deviceToken))
        expect([text, await login(text)]).toEqual([text, expect.stringMatching(/^401 mfa.required|^400 /)]);
      expect(await login(deviceToken)).toBe("200");
    },
    "GHSA-6mq3-xmgp-pjm5",
  ],
  [
    "what has not our MAC is not looked up: no statement, so nothing to be timed",
    async (target) => {
      const { api, statements } = target;
      const { refreshToken } = await target.newcomer();
      const person = await target.withApp();
      const challenge = await target.challengeOf(person);
      const form = { "content-type": "application/x-www-form-urlencoded" };
      const forged = (text: string): string => `${text.slice(0, -3)}AAA`;
      const about = (): number => statements.filter((text) => /refresh_tokens|one_time_tokens|recovery_codes|totp/.test(text)).length;
      const ask = async (path: string, body: object): Promise<string> => told(await api.http.post(path, body));
      await target.mailed(person.email, "address");
      const before = about();
      for (let turn = 0; turn < 5; turn += 1) {
        expect(await ask("/api/auth/refresh", { refreshToken: forged(refreshToken) })).toBe("401 refresh.invalid");
        expect(await ask("/api/auth/mfa/verify", { challenge: forged(challenge), code: "123456" })).toBe("401 mfa.challenge_invalid");
        expect(await ask("/api/auth/reset-password", { token: forged(challenge), password: "another battery" })).toBe("400 link.invalid");
        expect(await ask("/api/auth/verify-email", { token: forged(challenge) })).toBe("400 link.invalid");
        expect(await ask("/api/auth/magic-link/verify", { token: forged(challenge) })).toBe("400 link.invalid");
        for (const method of ["GET", "POST"]) {
          const page = await api.http.send(method, `/confirm/${forged(challenge)}`, method === "GET" ? {} : { body: "", headers: form });
          expect(page.status).toBeGreaterThanOrEqual(400);
        }
        const response = new URLSearchParams({ code: "x", state: forged(challenge), iss: target.provider.issuer }).toString();
        expect(await ask("/api/auth/oidc/a/complete", { response, binding: "x" })).toBe("400 oidc.state_invalid");
      }
      expect(about() - before).toBe(0);
      // What has our MAC is, so the statements above would have been seen.
      expect(await ask("/api/auth/refresh", { refreshToken })).toBe("200");
      expect(await ask("/api/auth/verify-email", { token: challenge })).toBe("400 link.invalid");
      expect(about() - before).toBeGreaterThanOrEqual(2);
    },
  ],
  [
    "links and challenges cut or extended are none, and stay good as they are",
    async (target) => {
      const person = await target.withApp();
      const challenge = await target.challengeOf(person);
      const verify = (text: string): Promise<Answer<Body>> =>
        target.api.http.post<Body>("/api/auth/mfa/verify", { challenge: text, code: person.code() });
      for (const text of almost(challenge)) expect(told(await verify(text))).toMatch(/^401 mfa.challenge_invalid|^400 /);
      expect(told(await verify(challenge))).toBe("200");
      await target.api.http.post("/api/auth/magic-link", { email: person.email });
      const { link } = await target.mailed(person.email, "sign_in");
      const enter = async (token: string): Promise<string> => told(await target.api.http.post("/api/auth/magic-link/verify", { token }));
      for (const text of almost(link)) expect(await enter(text)).toMatch(/^400 /);
      expect(await enter(link)).toBe("401 mfa.required");
    },
    "GHSA-6mq3-xmgp-pjm5",
  ],
]);
