import { expect } from "@jest/globals";
import type { Answer } from "../../kit/http-client.ts";
import { rowsOf, told } from "../row.ts";
import { tally, type Body, type Target, type WithApp } from "../target.ts";

const other = (code: string, by = 1): string => String((Number(code) + by) % 1_000_000).padStart(6, "0");

const verify = ({ api }: Target, challenge: string, code: string): Promise<Answer<Body>> =>
  api.http.post<Body>("/api/auth/mfa/verify", { challenge, code });
const stepUp = ({ api }: Target, { accessToken, password }: WithApp, code: string): Promise<Answer<Body>> =>
  api.http.post<Body>("/api/auth/step-up", { password, code }, accessToken);

async function mailedCode(target: Target): Promise<{ readonly email: string; readonly code: string }> {
  const { email } = await target.newcomer();
  await target.api.http.post("/api/auth/magic-link", { email });
  return { email, code: (await target.mailed(email, "sign_in")).code };
}

/** Tries so many wrong ones, each at the next process. */
const guesses = (target: Target, { email, code }: { email: string; code: string }, count: number): (() => Promise<Answer<Body>>)[] =>
  Array.from({ length: count }, (_, index) => () => {
    const { http } = index % 2 === 0 ? target.api : target.guarded;
    const headers = { "x-forwarded-for": `192.0.2.${index}` };
    return http.send<Body>("POST", "/api/auth/magic-link/verify", { body: { email, code: other(code, index + 1) }, headers });
  });
const right = async ({ api }: Target, proof: object, door = "/api/auth/magic-link/verify"): Promise<string> =>
  told(await api.http.post(door, proof));

export const codeRows = rowsOf("code", [
  [
    "six digits by mail: dead after five tries, one after the other, over two processes",
    async (target) => {
      const mail = await mailedCode(target);
      for (const guess of guesses(target, mail, 5)) expect(told(await guess())).toBe("400 code.invalid");
      expect(await right(target, mail)).toBe("400 code.invalid");
    },
  ],
  [
    "six digits by mail: dead after five tries at once, the right one among fifty wrong",
    async (target) => {
      const mail = await mailedCode(target);
      const answers = await Promise.all(guesses(target, mail, 50).map((guess) => guess()));
      expect(tally(answers, told)).toEqual({ "400 code.invalid": 50 });
      expect(await right(target, mail)).toBe("400 code.invalid");
    },
  ],
  [
    "six digits by mail at another door than theirs, of another address, twice",
    async (target) => {
      const mail = await mailedCode(target);
      const { code: addressCode } = await target.mailed(mail.email, "address");
      expect(await right(target, { email: mail.email, code: mail.code }, "/api/auth/verify-email")).toBe("400 code.invalid");
      expect(await right(target, { email: mail.email, code: addressCode })).toBe("400 code.invalid");
      expect(await right(target, { email: target.bystander.email, code: mail.code })).toBe("400 code.invalid");
      const twice = await Promise.all([right(target, mail), right(target, mail)]);
      expect(twice.sort()).toEqual(["200", "400 code.invalid"]);
      expect(await right(target, mail)).toBe("400 code.invalid");
    },
  ],
  [
    "a challenge: dead after five tries at once, the right code too late",
    async (target) => {
      const person = await target.withApp();
      const challenge = await target.challengeOf(person);
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, index) => verify(target, challenge, other(person.code(), 400_000 + index))),
      );
      expect(tally(answers, told)).toEqual({ "403 mfa.code_wrong": 5, "401 mfa.challenge_invalid": 15 });
      expect(told(await verify(target, challenge, person.code()))).toBe("401 mfa.challenge_invalid");
    },
  ],
  [
    "of an app: fifty times at once over ten challenges, one counts; and never again",
    async (target) => {
      const person = await target.withApp();
      const challenges = await Promise.all(Array.from({ length: 10 }, () => target.challengeOf(person)));
      const code = person.code();
      const answers = await Promise.all(
        challenges.flatMap((challenge) => Array.from({ length: 5 }, () => verify(target, challenge, code))),
      );
      expect(tally(answers, told)[200]).toBe(1);
      expect(told(await stepUp(target, person, code))).toBe("403 mfa.code_wrong");
      expect(told(await verify(target, await target.challengeOf(person), code))).toBe("403 mfa.code_wrong");
    },
  ],
  [
    "of an app: fifty times at once by one session, one counts",
    async (target) => {
      const person = await target.withApp();
      const code = person.code();
      const answers: Answer<Body>[] = [];
      // No more at once than may wait for a hash.
      for (let turn = 0; turn < 5; turn += 1)
        answers.push(...(await Promise.all(Array.from({ length: 10 }, () => stepUp(target, person, code)))));
      expect(tally(answers, told)).toEqual({ 204: 1, "403 mfa.code_wrong": 49 });
    },
  ],
  [
    "of an app whose clock is off by more than a step, either way; an older one after a newer",
    async (target) => {
      const person = await target.withApp();
      for (const seconds of [-90, -300, 75, 90, 300, 86_400])
        expect(told(await stepUp(target, person, person.code(seconds)))).toBe("403 mfa.code_wrong");
      const [current, next] = [person.code(), person.code(30)];
      expect(told(await stepUp(target, person, next))).toBe("204");
      expect(told(await stepUp(target, person, current))).toBe("403 mfa.code_wrong");
    },
  ],
  [
    "of another account's app, and of another account's recovery",
    async (target) => {
      const [person, thief] = [await target.withApp(), await target.withApp()];
      const challenge = await target.challengeOf(person);
      for (const code of [thief.code(), thief.code(30), thief.recoveryCodes[0] ?? ""])
        expect(told(await verify(target, challenge, code))).toBe("403 mfa.code_wrong");
      expect(told(await verify(target, await target.challengeOf(thief), thief.recoveryCodes[0] ?? ""))).toBe("200");
    },
  ],
  [
    "of recovery: twice at once and once more, however it is written",
    async (target) => {
      const person = await target.withApp();
      const [code = ""] = person.recoveryCodes;
      const challenges = await Promise.all(Array.from({ length: 4 }, () => target.challengeOf(person)));
      const spelled = [code, code.toLowerCase(), code.replace("-", " "), code.replace("-", "")];
      const answers = await Promise.all(challenges.map((challenge, index) => verify(target, challenge, spelled[index] ?? "")));
      expect(tally(answers, told)).toEqual({ 200: 1, "403 mfa.code_wrong": 3 });
      for (const text of spelled) expect(told(await stepUp(target, person, text))).toBe("403 mfa.code_wrong");
    },
  ],
]);
