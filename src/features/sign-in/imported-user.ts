/** What a line of an import must be, and what is said of one that is not. */

import { z } from "zod";
import { bio, displayName, emailAddress, username } from "#src/features/accounts/public";
import type { Clock } from "#src/kernel/clock";
import { localeOf } from "#src/kernel/locale";
import { flawOfHash } from "./imported-hash.ts";
import { MOST_LINE_BYTES, type Line } from "./import-lines.ts";

/** One thing that keeps a line out. Holds nothing of what stood in the line but the name of a field we do not know. */
export interface Refusal {
  readonly line: number;
  /** Undefined when it is about the line as a whole. */
  readonly field?: string;
  readonly message: string;
}

const id = z
  .uuid("a UUID")
  .overwrite((text) => text.toLowerCase())
  .refine((text) => !/^(0{8}-(0{4}-){3}0{12}|f{8}-(f{4}-){3}f{12})$/.test(text), "a UUID that is somebody's");

const role = z.enum(["user", "moderator"], { error: 'must be "user" or "moderator"; an admin cannot be imported' });

function importedUser(clock: Clock) {
  const createdAt = z.iso
    .datetime({ offset: true, error: "must be a time like 2024-05-01T12:00:00Z" })
    .transform((text) => new Date(text))
    .refine((moment) => moment.getTime() >= 0 && moment <= clock.now(), "must lie between 1970 and now");
  return z.strictObject({
    id: id.optional(),
    username,
    email: emailAddress,
    emailVerified: z.boolean().default(false),
    displayName: displayName.optional(),
    bio: bio.default(""),
    roles: z.array(role).default([]),
    // As at a registration: the best of our languages for it, the default where there is none.
    locale: z.string().max(35, "at most 35 characters").transform(localeOf).default(localeOf("")),
    createdAt: createdAt.optional(),
    passwordHash: z
      .string()
      .max(400, "too long")
      .superRefine((hash, context) => {
        const flaw = flawOfHash(hash);
        if (flaw !== undefined) context.addIssue({ code: "custom", message: flaw });
      })
      .optional(),
  });
}

export type ImportedUser = z.infer<ReturnType<typeof importedUser>>;

/** What became of a line: nothing was in it, it is a user, or it is refused. */
export type ReadLine =
  | { readonly kind: "empty" }
  | { readonly kind: "user"; readonly line: number; readonly user: ImportedUser }
  | { readonly kind: "refused"; readonly refusals: readonly Refusal[] };

/** Makes the function that reads lines. */
export function userReader(clock: Clock): (line: Line) => ReadLine {
  const schema = importedUser(clock);
  const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const refused = (line: number, message: string): ReadLine => ({ kind: "refused", refusals: [{ line, message }] });
  return ({ number, bytes }) => {
    if (bytes === undefined) return refused(number, `is longer than ${MOST_LINE_BYTES} bytes`);
    const text = attempt(() => utf8.decode(bytes));
    if (text === undefined) return refused(number, "is not UTF-8");
    if (text.trim() === "") return { kind: "empty" };
    const value = attempt(() => ({ parsed: JSON.parse(text) as unknown }));
    if (value === undefined) return refused(number, "is not JSON");
    const read = schema.safeParse(value.parsed);
    if (read.success) return { kind: "user", line: number, user: read.data };
    return { kind: "refused", refusals: read.error.issues.slice(0, MOST_REFUSALS).flatMap((issue) => refusalsOf(number, issue)) };
  };
}

function attempt<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** As much is said of one line, and as many of its unknown fields are named. */
const MOST_REFUSALS = 10;
const MOST_UNKNOWN = 5;

function refusalsOf(line: number, issue: z.core.$ZodIssue): Refusal[] {
  if (issue.code === "unrecognized_keys")
    return issue.keys.slice(0, MOST_UNKNOWN).map((key) => ({ line, field: plain(key), message: "is no field that can be imported" }));
  const field = issue.path.length === 0 ? undefined : issue.path.map(String).join(".");
  return [{ line, ...(field !== undefined && { field }), message: wordsOf(issue) }];
}

/** Zod's own words tell of types only. */
function wordsOf(issue: z.core.$ZodIssue): string {
  if (issue.code !== "invalid_type") return issue.message;
  const kinds: Readonly<Record<string, string>> = { object: "a JSON object", array: "a list" };
  return `must be ${kinds[issue.expected] ?? `a ${issue.expected}`}`;
}

/** A name that somebody else chose, fit for a terminal. */
function plain(name: string): string {
  return name.slice(0, 40).replaceAll(/[^\x20-\x7e]/g, "?");
}
