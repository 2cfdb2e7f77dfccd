/**
 * Password hashes that came from another system. They are kept with a mark until their owner signs in: it says that the password
 * is to be compared in that system's way (bcrypt's cut after 72 bytes, no spelling made one), and then hashed in ours.
 */

const IMPORTED = "imported$";

// The bounds keep a hash that somebody made up from costing more than an honest one: a cost of 16 is 4 s, the rest a second.
const BCRYPT = /^\$2[aby]\$(0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}$/;
const ARGON2ID = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{16,86})$/;
const MOST_MEMORY_KIB = 256 * 1024;
const MOST_PASSES = 10;
const MOST_LANES = 8;

/** How one is checked. `hash` is in the form that our libraries read. */
export interface ImportedHash {
  readonly algorithm: "bcrypt" | "argon2id";
  readonly hash: string;
}

/** What is wrong about a hash that is to be imported; undefined when nothing is. Says nothing of the hash itself. */
export function flawOfHash(hash: string): string | undefined {
  if (BCRYPT.test(hash)) return undefined;
  const [, memory, passes, lanes, salt, output] = ARGON2ID.exec(hash) ?? [];
  if (memory === undefined) return "must be bcrypt ($2a$, $2b$, $2y$; cost 4 to 16) or argon2id ($argon2id$v=19$m=…,t=…,p=…$…$…)";
  const [m, t, p] = [Number(memory), Number(passes), Number(lanes)];
  if (m > MOST_MEMORY_KIB || t > MOST_PASSES || p > MOST_LANES)
    return `argon2id may ask for at most m=${MOST_MEMORY_KIB} (256 MiB), t=${MOST_PASSES}, p=${MOST_LANES}`;
  if (t < 1 || p < 1 || m < 8 * p) return "argon2id needs t and p of 1 or more, and m of 8 times p or more";
  return isBase64(salt) && isBase64(output) ? undefined : "salt or hash of the argon2id form is not base64 without padding";
}

/** The stored form. */
export function markImported(hash: string): string {
  return `${IMPORTED}${hash}`;
}

/** Reads a stored form; undefined for one of ours. */
export function readImported(stored: string): ImportedHash | undefined {
  if (!stored.startsWith(IMPORTED)) return undefined;
  const hash = stored.slice(IMPORTED.length);
  if (hash.startsWith("$argon2id$")) return { algorithm: "argon2id", hash };
  // `$2a$` and `$2y$` name the same algorithm for what is at most 255 bytes long; the old `$2x$` is another.
  return { algorithm: "bcrypt", hash: hash.replace(/^\$2[ay]\$/, "$2b$") };
}

/** Stray bits in the last character make no difference to a lenient reader, and an error to ours. */
function isBase64(text = ""): boolean {
  return Buffer.from(text, "base64").toString("base64").replace(/=+$/, "") === text;
}
