import { createHash } from "node:crypto";
import { expect } from "@jest/globals";
import { rowsOf, told } from "../row.ts";
import { from, tally, type Body, type Target } from "../target.ts";

let count = 0;
const register = async ({ api }: Target, password: unknown): Promise<readonly [string, string]> => {
  const username = `typed${(count += 1)}`;
  return [username, told(await api.http.post("/api/auth/register", { username, email: `${username}@example.com`, password }))];
};
const login = async ({ api }: Target, emailOrUsername: unknown, password: unknown): Promise<string> =>
  told(await api.http.post("/api/auth/login", { emailOrUsername, password }));

/** Whoever has chosen the first enters by it, and by none of the others. */
async function onlyBy(target: Target, chosen: string, others: readonly string[]): Promise<void> {
  const [username, outcome] = await register(target, chosen);
  expect(outcome).toBe("201");
  for (const other of others) expect(await login(target, username, other)).toBe("401 credentials.invalid");
  expect(await login(target, username, chosen)).toBe("200");
}

const NO_PASSWORDS: readonly unknown[] = ["", [], ["correct horse battery"], {}, { $ne: "" }, null, true, 12_345_678, undefined];

export const passwordRows = rowsOf("password", [
  [
    "of 1 MB, at every door that takes one",
    async (target) => {
      const { accessToken } = await target.newcomer();
      const password = "x".repeat(1024 * 1024);
      const doors: Readonly<Record<string, object>> = {
        "/api/auth/register": { username: "large", email: "large@example.com", password },
        "/api/auth/login": { emailOrUsername: "large", password },
        "/api/auth/reset-password": { token: "x", password },
        "/api/auth/change-password": { currentPassword: password, newPassword: password },
        "/api/auth/step-up": { password },
      };
      for (const [path, body] of Object.entries(doors))
        expect([path, told(await target.api.http.post(path, body, accessToken))]).toEqual([path, "413 body.too_large"]);
    },
  ],
  [
    "of 60 KB, which would fit into a body",
    async (target) => {
      expect((await register(target, "x".repeat(60_000)))[1]).toBe("400 input.invalid");
      expect(await login(target, "large", "x".repeat(60_000))).toBe("400 input.invalid");
    },
  ],
  [
    "with NUL inside, where bcrypt would stop reading",
    async (target) => {
      expect((await register(target, "correct horse\u0000battery"))[1]).toBe("400 input.invalid");
      const { username, password } = await target.newcomer();
      for (const text of [`${password}\u0000`, `${password}\u0000x`, "\u0000"])
        expect(await login(target, username, text)).toBe("400 input.invalid");
    },
  ],
  [
    "twins of 72 bytes: what bcrypt would cut off counts",
    async (target) => {
      const head = "correct horse battery staple ".repeat(3).slice(0, 72);
      await onlyBy(target, `${head}A`, [`${head}B`, head, `${head}AA`, createHash("sha256").update(`${head}A`).digest("base64")]);
      await onlyBy(target, head, [`${head}A`, head.slice(0, -1)]);
    },
  ],
  [
    "twins of Unicode: only composed and decomposed spellings are one",
    async (target) => {
      const chosen = "caf\u00e9 \ufb01ne \uff21 stra\u00dfe";
      await onlyBy(target, chosen, [
        chosen.normalize("NFKC"),
        chosen.normalize("NFKD"),
        "cafe \ufb01ne \uff21 stra\u00dfe",
        chosen.toLowerCase(),
        chosen.replace("\u00df", "ss"),
      ]);
      const [username] = await register(target, chosen);
      expect(await login(target, username, chosen.normalize("NFD"))).toBe("200");
    },
  ],
  [
    "that is none: empty, an array, an object, a number",
    async (target) => {
      const { username } = await target.newcomer();
      for (const text of NO_PASSWORDS) {
        expect((await register(target, text))[1]).toBe("400 input.invalid");
        expect(await login(target, username, text)).toBe("400 input.invalid");
      }
    },
  ],
]);

const WRONG = "wrong horse battery";

export const lockoutRows = rowsOf("lockout", [
  [
    "from a hundred addresses, in any spelling of the name: one budget",
    async (target) => {
      const { username, password } = await target.newcomer();
      // To PostgreSQL or to JavaScript some of these are the same name.
      const spellings = [username, username.toUpperCase(), username.replace("o", "O"), `${username} `, ` ${username}`];
      const tryOne = (index: number, name: string, secret = WRONG): Promise<string> =>
        target.guarded.http
          .send("POST", "/api/auth/login", { body: { emailOrUsername: name, password: secret }, ...from(`198.51.100.${index}`) })
          .then(told);
      const outcomes: string[] = [];
      for (let index = 0; index < 100; index += 1) outcomes.push(await tryOne(index, spellings[index % 3] ?? ""));
      // Four at once, then one after a second, two, four…; twice that where the state store was too slow to count (docs/security.md).
      expect(outcomes.filter((one) => one === "401 credentials.invalid").length).toBeLessThanOrEqual(16);
      expect(outcomes).toContain("429 sign_in.throttled");
      for (const name of spellings.slice(3)) expect(await tryOne(200, name, password)).toBe("401 credentials.invalid");
      // Another's device is no way round it.
      const { body } = await target.api.http.post<Body>("/api/auth/login", { emailOrUsername: target.bystander.username, password });
      const evading = { emailOrUsername: username, password: WRONG, deviceToken: body.deviceToken };
      const refused = await Promise.all(
        Array.from({ length: 12 }, () => target.guarded.http.send("POST", "/api/auth/login", { body: evading, ...from("198.51.100.201") })),
      );
      expect(tally(refused, told)["401 credentials.invalid"] ?? 0).toBeLessThanOrEqual(4);
    },
    "CVE-2026-9798",
  ],
  [
    "of a name in letters that fold into others: it is not the name",
    async (target) => {
      const username = `kiri${(count += 1)}`;
      const password = "correct horse battery";
      await target.api.http.post("/api/auth/register", { username, email: `${username}@example.com`, password });
      for (const name of [username.replaceAll("i", "\u0130"), username.replaceAll("i", "\u0131"), `\uff4b${username.slice(1)}`]) {
        expect([name, await login(target, name, password)]).toEqual([name, "401 credentials.invalid"]);
        expect([name, await login(target, `${name}@example.com`, password)]).toEqual([name, "401 credentials.invalid"]);
      }
    },
    "CVE-2026-9798",
  ],
  [
    "of who holds a session: change-password, change-email and step-up share the tries at its password",
    async (target) => {
      const { accessToken, password } = await target.newcomer();
      const doors = (text: string): readonly (readonly [string, object])[] => [
        ["/api/auth/change-password", { currentPassword: text, newPassword: "another battery" }],
        ["/api/auth/step-up", { password: text }],
        ["/api/auth/change-email", { email: "else@example.com", currentPassword: text }],
      ];
      const ask = async (path: string, body: object, index: number): Promise<string> =>
        told(await target.guarded.http.send("POST", path, { token: accessToken, body, ...from(`198.51.101.${index}`) }));
      let tries = 0;
      // What the state store could not count in time its process counts by itself: two budgets at most.
      for (let index = 0; index < 30; index += 1) {
        const [path, body] = doors(WRONG)[index % 3] as readonly [string, object];
        if ((await ask(path, body, index)) === "403 password.wrong") tries += 1;
      }
      expect(tries).toBeGreaterThanOrEqual(10);
      expect(tries).toBeLessThanOrEqual(20);
      for (const [path, body] of doors(password)) expect([path, await ask(path, body, 200)]).toEqual([path, "429 sign_in.throttled"]);
    },
    "CVE-2026-9798",
  ],
  [
    "of a second factor: mfa, step-up and adding another app share the tries at its codes",
    async (target) => {
      const person = await target.withApp();
      const wrong = String((Number(person.code()) + 500_001) % 1_000_000).padStart(6, "0");
      const send = async (path: string, body: object): Promise<string> =>
        told(await target.guarded.http.send("POST", path, { token: person.accessToken, body, ...from("198.51.102.1") }));
      const outcomes: string[] = [];
      for (let turn = 0; turn < 7; turn += 1) {
        const challenge = await target.challengeOf(person);
        outcomes.push(await send("/api/auth/mfa/verify", { challenge, code: wrong }));
        outcomes.push(await send("/api/auth/mfa/verify", { challenge, code: person.recoveryCodes[0]?.replace(/.$/, "!") ?? "" }));
        outcomes.push(await send("/api/auth/step-up", { password: person.password, code: wrong }));
      }
      expect(outcomes.filter((one) => one === "403 mfa.code_wrong").length).toBeLessThanOrEqual(20);
      const challenge = await target.challengeOf(person);
      expect(await send("/api/auth/mfa/verify", { challenge, code: person.code() })).toBe("429 sign_in.throttled");
      expect(await send("/api/auth/step-up", { password: person.password, code: person.code() })).toBe("429 sign_in.throttled");
      expect(await send("/api/auth/mfa/totp/confirm", { code: person.code() })).toBe("429 sign_in.throttled");
      // A mailed code signs in past the password, not past the factor.
      await send("/api/auth/magic-link", { email: person.email });
      const { link } = await target.mailed(person.email, "sign_in");
      expect(await send("/api/auth/magic-link/verify", { token: link })).toBe("401 mfa.required");
    },
    "CVE-2026-9798",
  ],
  [
    "of a mailbox: no door that mails it has more than a few mails, in any case of letters",
    async (target) => {
      const { email } = await target.newcomer();
      const doors = ["/api/auth/magic-link", "/api/auth/forgot-password", "/api/auth/resend-verification"];
      const ask = async (index: number): Promise<string> => {
        const body = { email: index % 2 === 0 ? email : email.toUpperCase() };
        return told(await target.guarded.http.send("POST", doors[index % 3] ?? "", { body, ...from(`198.51.103.${index}`) }));
      };
      const outcomes: string[] = [];
      for (let index = 0; index < 30; index += 1) outcomes.push(await ask(index));
      const taken = outcomes.filter((one) => one.startsWith("202")).length;
      expect(taken).toBe(15);
      for (const index of [30, 31, 32]) expect(await ask(index)).toBe("429 sign_in.throttled");
    },
    "CVE-2026-9798",
  ],
  [
    "of one network address, however it lies about the addresses before its proxy",
    async (target) => {
      const { username } = await target.newcomer();
      const outcomes = await Promise.all(
        Array.from({ length: 80 }, (_, index) =>
          target.guarded.http.send("POST", "/api/auth/reset-password", {
            body: { token: username, password: "another battery" },
            ...from(`10.0.0.${index}, 203.0.113.77`),
          }),
        ),
      );
      const counts = tally(outcomes, told);
      expect(counts["429 rate.limited"] ?? 0).toBeGreaterThanOrEqual(10);
    },
  ],
]);
