/** Makes log fields safe to print: no secrets even where somebody passed one, no cycles, no endless depth, errors with their stack. */

/** Printed in place of a secret. */
const HIDDEN = "[redacted]";
const MAX_DEPTH = 6;
const MAX_TEXT_LENGTH = 8_192;
const MAX_ITEMS = 100;

const SECRET_NAMES = new Set(["authorization", "cookie", "setcookie", "credentials", "mac", "sealed", "passphrase", "pepper"]);
const SECRET_ENDINGS = ["password", "passwd", "secret", "token", "tokens", "apikey", "privatekey", "hash"];

/** By name; a number or a yes is none (`revokedTokens: 3`). */
function isSecret(name: string, value: unknown): boolean {
  if (typeof value !== "string" && (typeof value !== "object" || value === null)) return false;
  const plain = name.toLowerCase().replaceAll(/[^a-z]/g, "");
  return SECRET_NAMES.has(plain) || SECRET_ENDINGS.some((ending) => plain.endsWith(ending));
}

const JWT = /\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*/g;
const BEARER = /\b(bearer|basic) +[\w.~+/=-]{8,}/gi;
const URL_PASSWORD = /(:\/\/[^\s:/@]*):[^\s/@]+@/g;

/** Hides what looks like a token, or like a password in a URL, within a text. */
export function redactText(text: string): string {
  const cut = text.length > MAX_TEXT_LENGTH ? `${text.slice(0, MAX_TEXT_LENGTH)}…` : text;
  return cut.replace(JWT, HIDDEN).replace(BEARER, `$1 ${HIDDEN}`).replace(URL_PASSWORD, `$1:${HIDDEN}@`);
}

/** A copy of the fields that `JSON.stringify` takes without throwing and that holds no secret by name or look. */
export function redactFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return plainObject(fields, new Set(), 0);
}

function plainObject(from: object, above: ReadonlySet<object>, depth: number): Record<string, unknown> {
  const within = new Set(above).add(from);
  const entries = Object.entries(from).slice(0, MAX_ITEMS);
  return Object.fromEntries(entries.map(([name, value]) => [name, isSecret(name, value) ? HIDDEN : plainValue(value, within, depth + 1)]));
}

function plainValue(value: unknown, above: ReadonlySet<object>, depth: number): unknown {
  switch (typeof value) {
    case "string":
      return redactText(value);
    case "bigint":
    case "symbol":
      return value.toString();
    case "function":
      return "[function]";
    case "object":
      return value === null ? null : plainThing(value, above, depth);
    default:
      return value;
  }
}

function plainThing(value: object, above: ReadonlySet<object>, depth: number): unknown {
  if (above.has(value)) return "[circular]";
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "[invalid date]" : value.toISOString();
  if (value instanceof Error) return plainError(value, above, depth);
  if (depth > MAX_DEPTH) return "[deep]";
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Map) return plainObject(Object.fromEntries(value), above, depth);
  const list = value instanceof Set ? [...value] : value;
  if (Array.isArray(list)) return list.slice(0, MAX_ITEMS).map((item: unknown) => plainValue(item, new Set(above).add(value), depth + 1));
  if ("toJSON" in value && typeof value.toJSON === "function") return plainValue((value.toJSON as () => unknown)(), above, depth + 1);
  return plainObject(value, above, depth);
}

function plainError(error: Error, above: ReadonlySet<object>, depth: number): Record<string, unknown> {
  const { code } = error as { readonly code?: unknown };
  return {
    name: error.name,
    message: redactText(error.message),
    ...((typeof code === "string" || typeof code === "number") && { code }),
    ...(error.stack !== undefined && { stack: redactText(error.stack) }),
    ...(error.cause !== undefined && depth < MAX_DEPTH && { cause: plainValue(error.cause, new Set(above).add(error), depth + 1) }),
  };
}
