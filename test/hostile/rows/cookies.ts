import { expect } from "@jest/globals";
import { sayRaw, toldRaw } from "../../kit/http-app.ts";
import type { Answer } from "../../kit/http-client.ts";
import { until } from "../../kit/until.ts";
import { rowsOf, told } from "../row.ts";
import { APP, OWN, type Body, type Target } from "../target.ts";

const NAME = "__Host-refresh";

/** A page's session in cookie mode. */
interface Held {
  readonly refreshToken: string;
  readonly csrfToken: string;
}

async function page(target: Target): Promise<Held> {
  const { username, password } = await target.newcomer();
  const headers = { origin: APP, "x-session-mode": "cookie" };
  const answer = await target.api.http.send<Body>("POST", "/api/auth/login", { body: { emailOrUsername: username, password }, headers });
  return { refreshToken: cookieOf(answer), csrfToken: answer.body.csrfToken };
}

const cookieOf = (answer: Answer<unknown>): string =>
  /__Host-refresh=([^;]*)/.exec(answer.headers["set-cookie"]?.join("\n") ?? "")?.[1] ?? "";

const refresh = (target: Target, held: Held, headers: Readonly<Record<string, string>> = {}): Promise<Answer<Body>> =>
  target.api.http.send<Body>("POST", "/api/auth/refresh", {
    headers: { cookie: `${NAME}=${held.refreshToken}`, origin: APP, "x-csrf-token": held.csrfToken, ...headers },
  });

/** Refused with this, without a new cookie; and the session goes on as if nothing had been. */
async function refused(target: Target, held: Held, headers: Readonly<Record<string, string>>, expected: string): Promise<void> {
  const answer = await refresh(target, held, headers);
  expect([headers, told(answer), cookieOf(answer)]).toEqual([headers, expected, ""]);
}

/** Three turns: a token that had been used by what was refused would be taken for theft by then. */
async function goesOn(target: Target, held: Held): Promise<void> {
  let newest = held;
  for (let turn = 0; turn < 3; turn += 1) {
    const answer = await refresh(target, newest);
    expect(told(answer)).toBe("200");
    newest = { refreshToken: cookieOf(answer), csrfToken: answer.body.csrfToken };
  }
}

export const cookieRows = rowsOf("cookie", [
  [
    "two of one name, in any order, and one inside another's value",
    async (target) => {
      const [held, planted] = [await page(target), await page(target)];
      const [one, two] = [`${NAME}=${held.refreshToken}`, `${NAME}=${planted.refreshToken}`];
      for (const cookie of [
        `${one}; ${two}`,
        `${two}; ${one}`,
        `${one};${one}`,
        `theme="a; ${two}; b"; ${one}`,
        `${one}; ${NAME}=`,
        `${one}, x=y; ${two}`,
      ])
        await refused(target, held, { cookie }, "400 input.invalid");
      const inBody = {
        body: { refreshToken: planted.refreshToken },
        headers: { cookie: one, origin: APP, "x-csrf-token": held.csrfToken },
      };
      expect(told(await target.api.http.send("POST", "/api/auth/refresh", inBody))).toBe("400 input.invalid");
      await goesOn(target, held);
      await goesOn(target, planted);
    },
  ],
  [
    "a name without its prefix, in other letters or almost it",
    async (target) => {
      const held = await page(target);
      const names = [
        "refresh",
        "__host-refresh",
        "__Host-Refresh",
        "__Secure-refresh",
        "Host-refresh",
        "__Host-refresh2",
        "__Host-refresh[]",
        "__Host%2Drefresh",
        "$__Host-refresh",
      ];
      for (const name of names) await refused(target, held, { cookie: `${name}=${held.refreshToken}` }, "400 input.invalid");
      await goesOn(target, held);
    },
  ],
  [
    "values that are no token: attributes, quotes, escapes, nothing",
    async (target) => {
      const held = await page(target);
      const { refreshToken: token } = held;
      for (const value of [
        `"${token}"`,
        encodeURIComponent(`${token};`),
        `${token}%0d%0a`,
        `${token}%00`,
        `${token},`,
        `j:{"a":1}`,
        "x".repeat(6_000),
      ]) {
        const answer = await refresh(target, held, { cookie: `${NAME}=${value}; Path=/; Domain=evil.example` });
        // What is no token takes the cookie away, and nothing else.
        expect([value, told(answer), cookieOf(answer)]).toEqual([value, "401 refresh.invalid", ""]);
      }
      await goesOn(target, held);
    },
  ],
  [
    "with the CSRF token of another session, a part of it, or none",
    async (target) => {
      const [held, other] = [await page(target), await page(target)];
      for (const proof of [
        other.csrfToken,
        held.csrfToken.slice(0, -1),
        `${held.csrfToken}A`,
        "",
        held.refreshToken,
        `${held.csrfToken}, ${other.csrfToken}`,
      ])
        await refused(target, held, { "x-csrf-token": proof }, "403 csrf.refused");
      await goesOn(target, held);
    },
  ],
  [
    "from a page of another origin, of none, of a sandbox",
    async (target) => {
      const held = await page(target);
      const origins = [
        "https://evil.example",
        "null",
        "",
        `${APP}.evil.example`,
        `${APP}:8443`,
        "http://app.example.com",
        "https://sub.app.example.com",
        `${APP}/`,
        `${APP}, ${APP}`,
        "https://APP.example.com",
        `${OWN}@evil.example`,
      ];
      for (const origin of origins) await refused(target, held, { origin }, "403 csrf.refused");
      const headers = {
        cookie: `${NAME}=${held.refreshToken}`,
        "x-csrf-token": held.csrfToken,
        referer: `${APP}/`,
        host: "app.example.com",
      };
      expect(told(await target.api.http.send("POST", "/api/auth/refresh", { headers }))).toBe("403 csrf.refused");
      await goesOn(target, held);
    },
  ],
  [
    "as a sign-in of somebody else's page",
    async (target) => {
      const { username, password } = await target.newcomer();
      for (const origin of ["https://evil.example", "null"]) {
        const headers = { origin, "x-session-mode": "cookie" };
        const answer = await target.api.http.send("POST", "/api/auth/login", { body: { emailOrUsername: username, password }, headers });
        expect([told(answer), cookieOf(answer)]).toEqual(["403 csrf.refused", ""]);
      }
    },
  ],
]);

/** Headers that are echoed, logged, kept or read. */
const HEADERS = [
  "Origin",
  "User-Agent",
  "X-CSRF-Token",
  "X-Session-Mode",
  "Traceparent",
  "Tracestate",
  "X-Request-Id",
  "Accept-Language",
  "Authorization",
  "Cookie",
  "Idempotency-Key",
  "X-Forwarded-For",
  "X-Forwarded-Host",
  "Access-Control-Request-Method",
  "Access-Control-Request-Headers",
  "Content-Type",
  "Host",
];
const SPLITS = [
  "a\r\n\tX-Injected: 1",
  "a\nX-Injected: 1",
  "a\rX-Injected: 1",
  "a\u0000X-Injected: 1",
  "a%0d%0aX-Injected:%201",
  "a\\r\\nX-Injected: 1",
  "\u00e5\u0098\u008d\u00e5\u0098\u008aX-Injected: 1",
  "a\u010d\u010aX-Injected: 1",
];

const headOf = (answer: string): string => answer.split("\r\n\r\n")[0] ?? "";

/** Every line that the processes have logged is a whole one, but what is still on its way. */
function logIsWhole(target: Target): void {
  for (const { program } of [target.api, target.guarded]) {
    const broken = program.output
      .split("\n")
      .slice(0, -1)
      .filter((line) => line.includes("X-Injected") && !/^\{.*\}$/.test(line));
    expect(broken).toEqual([]);
  }
}

export const headerRows = rowsOf("header", [
  [
    "split by CR, LF, NUL or what becomes one: no header of theirs in an answer, no line of theirs in the log",
    async (target) => {
      for (const name of HEADERS) {
        const answers = await Promise.all(
          SPLITS.flatMap((value) => {
            const host = name === "Host" ? "" : "Host: x\r\n";
            const body = JSON.stringify({ emailOrUsername: "nobody", password: "wrong horse battery" });
            const type = name === "Content-Type" ? "" : "Content-Type: application/json\r\n";
            const length = `Content-Length: ${Buffer.byteLength(body)}`;
            return [
              sayRaw(
                target.api.port,
                `POST /api/auth/login HTTP/1.1\r\n${host}${type}${length}\r\n${name}: ${value}\r\nConnection: close\r\n\r\n${body}`,
              ),
              sayRaw(target.guarded.port, `OPTIONS /api/users/me HTTP/1.1\r\n${host}${name}: ${value}\r\nConnection: close\r\n\r\n`),
            ];
          }),
        );
        for (const answer of answers) {
          expect(headOf(answer)).not.toMatch(/x-injected/i);
          expect(toldRaw(answer)).toMatch(/^(204|400|401|415|429|403)\b/);
        }
      }
      logIsWhole(target);
    },
  ],
  [
    "of an answer, by a path or a redirect of their choosing",
    async (target) => {
      const paths = [
        "//evil.example/",
        "//evil.example/docs",
        "/docs/..//evil.example",
        "/\\evil.example",
        "/%5cevil.example",
        "/docs%0d%0aLocation:%20https://evil.example",
        "/confirm/x%0d%0aLocation:%20https://evil.example",
        "/api/users/a%0d%0aX-Injected:%201",
        "https://evil.example/docs",
        "/docs?next=https://evil.example",
        "/confirm/x?redirect=//evil.example",
        "/health/",
      ];
      for (const path of paths) {
        const answer = headOf(await sayRaw(target.api.port, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`));
        expect(answer).toMatch(/^HTTP\/1.1 [2-5]\d\d/);
        expect([path, answer]).toEqual([path, expect.not.stringMatching(/evil\.example|x-injected|^HTTP\/1.1 3/i)]);
      }
      for (const redirectUri of [
        "https://evil.example/",
        `${APP}/signed-in/a\r\nX-Injected: 1`,
        `${APP}/signed-in/a/../evil`,
        `${APP}/signed-in/a?x`,
        `${APP}\u010d\u010a`,
      ])
        expect(told(await target.api.http.post("/api/auth/oidc/a/begin", { redirectUri }))).toMatch(
          /^400 oidc.redirect_refused|^400 input.invalid/,
        );
    },
  ],
  [
    "Host with an authority inside it: links in mail, tokens and documents are of PUBLIC_URL",
    async (target) => {
      const person = await target.newcomer();
      const count = target.mail.received.length;
      const hosts = [
        "evil.example:fake@accounts.example.com",
        "evil.example",
        "accounts.example.com:fake@evil.example",
        "evil.example#accounts.example.com",
      ];
      for (const host of hosts) {
        const body = JSON.stringify({ email: person.email });
        const forwarded =
          "X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: http\r\nForwarded: host=evil.example;proto=http\r\nX-Original-URL: /evil\r\n";
        const request = `POST /api/auth/forgot-password HTTP/1.1\r\nHost: ${host}\r\n${forwarded}Content-Type: application/json\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
        expect(toldRaw(await sayRaw(target.guarded.port, request))).toMatch(/^(202|400 request.malformed)$/);
        const document = await sayRaw(
          target.api.port,
          `GET /openapi.json HTTP/1.1\r\nHost: ${host}\r\n${forwarded}Connection: close\r\n\r\n`,
        );
        expect(document).not.toContain("evil.example");
      }
      await target.mailed(person.email, "password_reset");
      const ofPerson = (): string[] =>
        target.mail.received.slice(count).flatMap(({ to, raw }) => (to.includes(person.email) ? [raw.replaceAll("=\r\n", "")] : []));
      const mails = await until(() => ofPerson().some((raw) => raw.includes("/confirm/")) && ofPerson(), {
        withinMs: 20_000,
        what: "the mail",
      });
      expect(mails.join()).not.toContain("evil.example");
      expect(mails.join()).toContain(OWN);
    },
    "CVE-2026-27959",
  ],
  [
    "X-Forwarded-For, -Host and -Proto of any length cost nothing and change nothing",
    async (target) => {
      for (const value of [
        ",".repeat(12_000),
        " ".repeat(12_000),
        `${"1.1.1.1,".repeat(1_500)}`,
        `${" ,".repeat(6_000)}x`,
        "::".repeat(5_000),
      ]) {
        const headers = { "x-forwarded-for": value.trim() };
        for (const { http } of [target.api, target.guarded]) {
          const answer = await http.send("GET", "/api/users/me", { headers, token: target.bystander.accessToken });
          expect(told(answer)).toBe("200");
        }
        const raw = `GET /health HTTP/1.1\r\nHost: x\r\nX-Forwarded-Host: ${value}\r\nConnection: close\r\n\r\n`;
        expect(toldRaw(await sayRaw(target.guarded.port, raw))).toBe("200");
      }
    },
    "CVE-2025-25200",
  ],
  [
    "Origin is never reflected, with cookies or without",
    async (target) => {
      for (const origin of [
        "https://evil.example",
        "null",
        `${APP}.evil.example`,
        "http://app.example.com",
        `${APP}\u0000`,
        "*",
        "https://xapp.example.com",
        "http://localhost:3000",
      ]) {
        const ask = [
          `GET /health HTTP/1.1\r\nHost: x\r\nOrigin: ${origin}\r\nConnection: close\r\n\r\n`,
          `OPTIONS /api/auth/refresh HTTP/1.1\r\nHost: x\r\nOrigin: ${origin}\r\nAccess-Control-Request-Method: POST\r\nConnection: close\r\n\r\n`,
          `POST /graphql HTTP/1.1\r\nHost: x\r\nOrigin: ${origin}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
          `GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nOrigin: ${origin}\r\nConnection: close\r\n\r\n`,
        ];
        expect(toldRaw(await sayRaw(target.api.port, ask[3] ?? ""))).toMatch(/^40[03]/);
        for (const request of ask)
          expect(headOf(await sayRaw(target.api.port, request))).not.toMatch(/access-control-allow-(origin|credentials)/i);
      }
      const allowed = await target.api.http.send("GET", "/health", { headers: { origin: APP } });
      expect(allowed.headers["access-control-allow-origin"]).toBe(APP);
    },
    "CVE-2023-49803",
  ],
]);
