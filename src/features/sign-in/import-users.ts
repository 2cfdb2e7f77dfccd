/** The way in from another system: users by the million, in small transactions, each with its event. Repeating it changes nothing. */

import { userRegistered } from "#src/contract/event-types";
import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { appendEvents } from "#src/events/append";
import { insertUsers, selectHolders, type BatchAccount, type Holders, type MadeAccount } from "#src/features/accounts/public";
import type { Clock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { readLines } from "./import-lines.ts";
import { markImported } from "./imported-hash.ts";
import { userReader, type ImportedUser, type ReadLine, type Refusal } from "./imported-user.ts";
import { SeenNames } from "./seen-names.ts";
import { insertManyCredentials } from "./sign-in.sql.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
}

/** What to import, and how. */
export interface Import {
  /** The file's bytes: JSON Lines. */
  readonly chunks: AsyncIterable<Buffer>;
  /** Finds out everything and writes nothing. */
  readonly dryRun: boolean;
  /** Begins by reading, without a transaction, until somebody is found who is not there. The outcome is the same. */
  readonly resume: boolean;
  /** Told after each batch what was refused in it, in the order of lines. */
  readonly onRefused: (refusals: readonly Refusal[]) => Promise<void>;
  readonly onProgress: (soFar: ImportSummary) => void;
}

/** Counts of lines that are not empty. */
export interface ImportSummary {
  readonly lines: number;
  /** Of a dry run: would be made. */
  readonly made: number;
  /** Was there already. */
  readonly unchanged: number;
  readonly refused: number;
}

/** Lines to a transaction; 500 take 30 to 60 ms. */
const BATCH_LINES = 500;

interface Candidate {
  readonly line: number;
  readonly user: ImportedUser;
}

type Verdict = "made" | "unchanged" | readonly Refusal[];
type Settle = (candidates: readonly Candidate[]) => Promise<readonly Verdict[]>;

/**
 * Takes in what is right and names what is not; who is there is never overwritten.
 * @throws Problem `service.busy` when the database cannot answer; what was committed before stays, and the same file may be run again
 */
export async function importUsers(deps: Needs, input: Import): Promise<ImportSummary> {
  const read = userReader(deps.clock);
  const settle = input.dryRun ? judge(deps) : write(deps, input.resume);
  let summary: ImportSummary = { lines: 0, made: 0, unchanged: 0, refused: 0 };
  let batch: Exclude<ReadLine, { kind: "empty" }>[] = [];
  const settleBatch = async (): Promise<void> => {
    const verdicts = await settleLines(batch, settle);
    const refusals = verdicts.filter((verdict) => typeof verdict !== "string");
    summary = {
      lines: summary.lines + batch.length,
      made: summary.made + verdicts.filter((verdict) => verdict === "made").length,
      unchanged: summary.unchanged + verdicts.filter((verdict) => verdict === "unchanged").length,
      refused: summary.refused + refusals.length,
    };
    if (refusals.length > 0) await input.onRefused(refusals.flat());
    input.onProgress(summary);
    batch = [];
  };
  for await (const line of readLines(input.chunks)) {
    const one = read(line);
    if (one.kind === "empty") continue;
    batch.push(one);
    if (batch.length === BATCH_LINES) await settleBatch();
  }
  if (batch.length > 0) await settleBatch();
  return summary;
}

/** Gives the verdicts in the order of the lines. */
async function settleLines(lines: readonly Exclude<ReadLine, { kind: "empty" }>[], settle: Settle): Promise<Verdict[]> {
  const candidates = lines.filter((one) => one.kind === "user");
  const verdicts = candidates.length === 0 ? [] : (await settle(candidates)).values();
  return lines.map((one) => (one.kind === "refused" ? one.refusals : next(verdicts)));
}

function next(verdicts: Iterator<Verdict> | readonly never[]): Verdict {
  const { value, done } = "next" in verdicts ? verdicts.next() : { value: undefined, done: true };
  if (done === true || value === undefined) throw new Error("fewer verdicts than candidates");
  return value as Verdict;
}

function write(deps: Needs, resume: boolean): Settle {
  let isReading = resume;
  return async (candidates) => {
    if (isReading) {
      const verdicts = await compare(deps.db, candidates);
      if (!verdicts.includes("made")) return verdicts;
      isReading = false;
    }
    return await writeBatch(deps, candidates);
  };
}

/** All or nothing: accounts, credentials and events. Lines 3, 4, 2 and 6 of the lock order, of rows that nobody else knows yet. */
async function writeBatch({ db, clock }: Needs, candidates: readonly Candidate[]): Promise<Verdict[]> {
  const wanted = candidates.map((one) => ({ ...one, account: accountOf(one.user, clock) }));
  const accounts = wanted.map(({ account }) => account);
  return await inTx(db, async (tx) => {
    const made = firstOfEach(wanted, await insertUsers(tx, accounts));
    await insertManyCredentials(tx, made.flatMap(credentialsOf));
    await appendEvents(tx, userRegistered, made.map(registrationOf));
    const lines = new Map(made.map(({ account, line }) => [account.id, line]));
    const others = wanted.filter(({ account, line }) => lines.get(account.id) !== line);
    const verdicts = new Map((await compare(tx, others, lines)).map((verdict, at) => [others[at]?.line, verdict]));
    return candidates.map(({ line }) => verdictAfter(line, verdicts.get(line)));
  });
}

interface Wanted extends Candidate {
  readonly account: BatchAccount;
}

interface Made extends Wanted {
  readonly createdAt: Date;
}

/** The lines whose accounts were made. Of lines that are alike it was the first. */
function firstOfEach(wanted: readonly Wanted[], made: readonly MadeAccount[]): Made[] {
  const keyOf = ({ id, username, email }: Pick<BatchAccount, "id" | "username" | "email">): string => `${id} ${username} ${email}`;
  const times = new Map(made.map((one) => [keyOf(one), one.createdAt]));
  return wanted.flatMap((one) => {
    const key = keyOf(one.account);
    const createdAt = times.get(key);
    times.delete(key);
    return createdAt === undefined ? [] : [{ ...one, createdAt }];
  });
}

function credentialsOf({ user, account }: Made): { readonly userId: string; readonly passwordHash: string }[] {
  return user.passwordHash === undefined ? [] : [{ userId: account.id, passwordHash: markImported(user.passwordHash) }];
}

function registrationOf({ account: { id: userId, username, displayName }, createdAt }: Made) {
  return { subject: userId, data: { userId, username, displayName, avatarUrl: null, createdAt: createdAt.toISOString() } };
}

/** Who was not inserted and is nevertheless free now was kept out by somebody who has gone meanwhile. */
function verdictAfter(line: number, verdict: Verdict | undefined): Verdict {
  if (verdict === undefined) return "made";
  return verdict === "made" ? [{ line, message: "was in use a moment ago; run the import again" }] : verdict;
}

function accountOf(user: ImportedUser, clock: Clock): BatchAccount {
  const { username, email, emailVerified, bio, locale, createdAt } = user;
  return {
    id: user.id ?? newUuid(clock),
    username,
    email,
    emailVerified,
    displayName: user.displayName ?? username,
    bio,
    roles: user.roles.includes("moderator") ? ["user", "moderator"] : ["user"],
    locale,
    createdAt,
  };
}

/** A dry run: what is in the database, and the lines of the file among themselves. */
function judge({ db }: Needs): Settle {
  const seen = new SeenNames();
  return async (candidates) => {
    const verdicts = await compare(db, candidates);
    return candidates.map((one, at) => {
      const inDatabase = verdicts[at] ?? "made";
      const verdict = inDatabase === "made" ? verdictOf(one, holdersSeen(seen, one.user)) : inDatabase;
      if (verdict === "made") for (const key of Object.values(keysOf(one.user))) seen.add(key);
      return verdict;
    });
  };
}

function keysOf({ id, username, email }: ImportedUser): Readonly<Record<"id" | "username" | "email" | "idAndName" | "names", string>> {
  const [name, address] = [username.toLowerCase(), email.toLowerCase()];
  // Who has no id has none that another line could have.
  const own = id ?? `of ${name}`;
  return {
    id: `id\n${own}`,
    username: `u\n${name}`,
    email: `e\n${address}`,
    idAndName: `i\n${own}\n${name}`,
    names: `n\n${name}\n${address}`,
  };
}

/** As `selectHolders` would tell of the lines before; the same account is a name they share. */
function holdersSeen(seen: SeenNames, user: ImportedUser): Holders {
  const keys = keysOf(user);
  const isOne = seen.has(keys.names);
  return {
    usernameOfId: seen.has(keys.id) ? (seen.has(keys.idAndName) ? user.username : "") : undefined,
    ofUsername: seen.has(keys.username) ? (isOne ? "one" : "one with the name") : undefined,
    ofEmail: seen.has(keys.email) ? (isOne ? "one" : "one with the address") : undefined,
  };
}

/** @param made the lines of accounts that were just made: a line is judged by those before it */
async function compare(
  on: Parameters<typeof selectHolders>[0],
  candidates: readonly Candidate[],
  made: ReadonlyMap<string, number> = new Map(),
): Promise<Verdict[]> {
  const wanted = candidates.map(({ user: { id, username, email } }) => ({ id, username, email }));
  const holders = await selectHolders(on, wanted);
  return candidates.map((one, at) => {
    const { usernameOfId, ofUsername, ofEmail } = holders[at] ?? {};
    const before = (id: string | undefined): string | undefined => (id !== undefined && (made.get(id) ?? 0) > one.line ? undefined : id);
    return verdictOf(one, {
      usernameOfId: before(one.user.id) === undefined ? undefined : usernameOfId,
      ofUsername: before(ofUsername),
      ofEmail: before(ofEmail),
    });
  });
}

const TAKEN = "is taken, by an account or an earlier line";

/** "made" for one in whose way nobody stands. Who has the same id and name is the same; without an id, who has the same name and address. */
function verdictOf({ line, user }: Candidate, { usernameOfId, ofUsername, ofEmail }: Holders): Verdict {
  if (user.id !== undefined && usernameOfId !== undefined) {
    if (usernameOfId.toLowerCase() === user.username.toLowerCase()) return "unchanged";
    return [{ line, field: "id", message: TAKEN }];
  }
  if (user.id === undefined && ofUsername !== undefined && ofUsername === ofEmail) return "unchanged";
  const refusals: Refusal[] = [];
  if (ofUsername !== undefined) refusals.push({ line, field: "username", message: TAKEN });
  if (ofEmail !== undefined) refusals.push({ line, field: "email", message: TAKEN });
  return refusals.length === 0 ? "made" : refusals;
}
