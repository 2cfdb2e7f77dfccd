/** Every secret that an attack has been told or has typed, to be looked for afterwards where none of them may be. */

import type { Answer, HttpClient, Sending } from "../kit/http-client.ts";

export interface Secrets {
  readonly add: (kind: string, text: string) => void;
  /** From now on keeps what this client is told and types. */
  readonly watch: (http: HttpClient) => void;
  /** Kinds of secrets that are in the text as they are, in hex or in base64. */
  readonly foundIn: (text: string) => readonly string[];
  readonly kinds: () => readonly string[];
}

const TOLD = new Set(
  "accessToken refreshToken csrfToken deviceToken challenge secret recoveryCodes binding state authorizationUrl".split(" "),
);
const TYPED = new Set("password newPassword currentPassword".split(" "));
/** Of each kind the newest so many are looked for; all of them would take longer than the attacks. */
const LOOKED_FOR = 40;
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

export function createSecrets(): Secrets {
  const known = new Map<string, Set<string>>();
  const add = (kind: string, text: string): void => {
    if (text.length < 6 || text.length > 2_000) return;
    known.set(kind, (known.get(kind) ?? new Set()).add(text));
  };
  return {
    add,
    watch: (http) => {
      const send = http.send.bind(http);
      http.send = async <Body>(method: string, path: string, sending?: Sending): Promise<Answer<Body>> => {
        const answer = await send<Body>(method, path, sending);
        harvest(answer.body, TOLD, add);
        if (answer.status < 400) harvest(sending?.body, TYPED, add);
        for (const line of answer.headers["set-cookie"] ?? []) add("cookie", /=([^;]+)/.exec(line)?.[1] ?? "");
        return answer;
      };
    },
    foundIn: (text) =>
      [...known].flatMap(([kind, texts]) =>
        [...texts].slice(-LOOKED_FOR).some((secret) => formsOf(kind, secret).some((form) => text.includes(form))) ? [kind] : [],
      ),
    kinds: () => [...known.keys()].sort(),
  };
}

function harvest(value: unknown, names: ReadonlySet<string>, add: Secrets["add"]): void {
  if (typeof value !== "object" || value === null) return;
  for (const [name, inner] of Object.entries(value)) {
    const texts: unknown[] = Array.isArray(inner) ? inner : [inner];
    for (const text of names.has(name) ? texts.filter((one) => typeof one === "string") : []) add(name, text);
    for (const one of texts) harvest(one, names, add);
  }
}

/** How it could have been written down. */
function formsOf(kind: string, secret: string): string[] {
  // Six digits are part of many a number: they count where nothing like them is around.
  if (kind === "code") return [`"${secret}"`, `:${secret},`, `(${secret},`, `,${secret},`, `,${secret})`, ...encoded(Buffer.from(secret))];
  const bare = kind === "recoveryCodes" ? [secret, secret.replace("-", "")] : [secret];
  const decoded = kind === "secret" ? fromBase32(secret) : Buffer.from(secret.split(".").at(-1) ?? "", "base64url");
  return [...bare, ...bare.flatMap((text) => encoded(Buffer.from(text))), ...(decoded.length < 20 ? [] : encoded(decoded))];
}

/** Base64 of it wherever it begins within what was encoded, but for characters that depend on its neighbours. */
function encoded(bytes: Buffer): string[] {
  const within = [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes])
      .toString("base64")
      .replace(/=+$/, "");
    return text.slice(before === 0 ? 0 : before + 1, -1);
  });
  return [bytes.toString("hex"), ...within];
}

function fromBase32(text: string): Buffer {
  const bits = Array.from(text, (letter) => BASE32.indexOf(letter).toString(2).padStart(5, "0")).join("");
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
}
