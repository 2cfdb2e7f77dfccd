import { argon2Sync } from "node:crypto";
import { describe, expect, it } from "@jest/globals";
import bcryptjs from "bcryptjs";
import { rows, row, sql } from "#src/db/sql";
import { Problem } from "#src/kernel/problem";
import { testClient } from "../../../test/kit/sessions.ts";
import { signInKit, type SignInKit } from "../../../test/kit/sign-in.ts";
import { forgotPassword } from "./forgot-password.ts";
import { importUsers, type Import, type ImportSummary } from "./import-users.ts";
import type { Refusal } from "./imported-user.ts";
import { login } from "./login.ts";
import { resetPassword } from "./set-password.ts";

type Fields = Readonly<Record<string, unknown>>;

const idOf = (index: number): string => `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`;
/** `index`: the number of its line, where it is the only file. */
const person = (index: number, fields: Fields = {}): Fields => ({
  id: idOf(index),
  username: `person${index}`,
  email: `person${index}@example.com`,
  ...fields,
});
const people = (count: number): Fields[] => Array.from({ length: count }, (_, index) => person(index + 1));

async function* fileOf(lines: readonly Fields[]): AsyncGenerator<Buffer> {
  await Promise.resolve();
  yield Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
}

interface Outcome extends ImportSummary {
  readonly refusals: readonly Refusal[];
}

async function take(kit: SignInKit, lines: readonly Fields[], how: Partial<Import> = {}): Promise<Outcome> {
  const refusals: Refusal[] = [];
  const summary = await importUsers(kit, {
    chunks: fileOf(lines),
    dryRun: false,
    resume: false,
    onRefused: (some) => Promise.resolve(void refusals.push(...some)),
    onProgress: () => {},
    ...how,
  });
  return { ...summary, refusals };
}

/** Everything that an import writes, but times that it made up. */
const everything = (kit: SignInKit): Promise<object[]> =>
  rows(
    kit.db,
    sql`select u.username, u.email, u.display_name, c.password_hash, v.version, count(o.id)::int as events
        from users u left join credentials c on c.user_id = u.id left join user_versions v on v.user_id = u.id
          left join outbox o on o.subject = u.id
        group by 1, 2, 3, 4, 5 order by lower(u.username)`,
  );

const signIn = async (kit: SignInKit, emailOrUsername: string, password: string): Promise<string> =>
  await login(kit, { emailOrUsername, password, client: testClient }).then(
    ({ user }) => user.id,
    (error: unknown) => (error instanceof Problem ? error.code : String(error)),
  );

const hashOf = async (kit: SignInKit, username: string): Promise<string | undefined> =>
  (
    await row<{ password_hash: string }>(
      kit.db,
      sql`select password_hash from credentials join users on id = user_id where username = ${username}`,
    )
  )?.password_hash;

describe("an import", () => {
  it("makes accounts with the ids they had, and an event of each as a registration does", async () => {
    await using kit = await signInKit();

    const outcome = await take(kit, [
      person(1, {
        displayName: "Ann B",
        bio: "Hi",
        roles: ["moderator"],
        locale: "hu",
        emailVerified: true,
        createdAt: "2019-05-01T12:00:00Z",
      }),
      { username: "Bob", email: "Bob@Example.com" },
    ]);

    expect(outcome).toEqual({ lines: 2, made: 2, unchanged: 0, refused: 0, refusals: [] });
    const [bob, ann] = await rows<Fields>(
      kit.db,
      sql`select id, username, email, email_verified_at is not null as verified, display_name, bio, roles, locale, status, created_at
          from users order by username`,
    );
    expect(ann).toEqual({
      id: idOf(1),
      username: "person1",
      email: "person1@example.com",
      verified: true,
      display_name: "Ann B",
      bio: "Hi",
      roles: ["user", "moderator"],
      locale: "hu",
      status: "active",
      created_at: new Date("2019-05-01T12:00:00Z"),
    });
    expect(bob).toMatchObject({
      username: "Bob",
      email: "Bob@Example.com",
      verified: false,
      display_name: "Bob",
      bio: "",
      roles: ["user"],
    });
    expect(await rows(kit.db, sql`select topic, type, subject, user_version, data from outbox where subject = ${idOf(1)}::uuid`)).toEqual([
      {
        topic: "users.v1",
        type: "videamozi.user.registered.v1",
        subject: idOf(1),
        user_version: 1,
        data: { userId: idOf(1), username: "person1", displayName: "Ann B", avatarUrl: null, createdAt: "2019-05-01T12:00:00.000Z" },
      },
    ]);
    expect(await row(kit.db, sql`select count(*)::int from outbox`)).toEqual({ count: 2 });
  });

  it("names line and field of what is taken, in the file or by an account, in any case, and overwrites nobody", async () => {
    await using kit = await signInKit();
    await kit.registered("Ann");
    const lines = [
      person(1, { username: "ANN" }),
      person(2, { email: "ANN@EXAMPLE.COM", displayName: "Thief" }),
      person(3, { passwordHash: "x" }),
      person(4),
      person(5, { username: "Person4" }),
      person(6, { email: "person4@EXAMPLE.com" }),
      person(4, { username: "other", email: "other@example.com" }),
      person(4),
      { username: "person4", email: "person4@example.com" },
      { username: "person4", email: "person9@example.com" },
      person(11),
    ];
    const dry = await take(kit, lines, { dryRun: true });
    expect(await row(kit.db, sql`select count(*)::int from users`)).toEqual({ count: 1 });

    const outcome = await take(kit, lines);

    const taken = "is taken, by an account or an earlier line";
    expect(outcome).toEqual({
      lines: 11,
      made: 2,
      unchanged: 2,
      refused: 7,
      refusals: [
        { line: 1, field: "username", message: taken },
        { line: 2, field: "email", message: taken },
        { line: 3, field: "passwordHash", message: expect.stringContaining("must be bcrypt") },
        { line: 5, field: "username", message: taken },
        { line: 6, field: "email", message: taken },
        { line: 7, field: "id", message: taken },
        { line: 10, field: "username", message: taken },
      ],
    });
    expect(dry).toEqual(outcome);
    expect((await everything(kit)).map((one) => Object.values(one).slice(0, 3))).toEqual([
      ["Ann", "Ann@example.com", "Ann"],
      ["person11", "person11@example.com", "person11"],
      ["person4", "person4@example.com", "person4"],
    ]);
  });

  it("gives what a refused line asked for to the next, dry or not", async () => {
    await using kit = await signInKit();
    await kit.registered("ann");
    const lines = [person(1, { email: "ann@example.com" }), person(1, { email: "free@example.com" }), person(2, { username: "person1" })];
    const dry = await take(kit, lines, { dryRun: true });

    const outcome = await take(kit, lines);

    expect(outcome).toMatchObject({
      made: 1,
      refused: 2,
      refusals: [
        { line: 1, field: "email" },
        { line: 3, field: "username" },
      ],
    });
    expect(dry).toEqual(outcome);
    expect(await row(kit.db, sql`select email from users where id = ${idOf(1)}::uuid`)).toEqual({ email: "free@example.com" });
  });

  it.each([false, true])("run again changes nothing, and takes in what is new (resume: %s)", async (resume) => {
    await using kit = await signInKit();
    const hash = bcryptjs.hashSync("securepass", 4);
    const lines = [...people(1_100), { username: "no.id", email: "no.id@example.com", passwordHash: hash }, person(1, { username: "x" })];
    expect(await take(kit, lines)).toMatchObject({ lines: 1_102, made: 1_101, unchanged: 0, refused: 1 });
    const before = await everything(kit);

    expect(await take(kit, lines, { resume })).toMatchObject({ made: 0, unchanged: 1_101, refused: 1, refusals: [{ line: 1_102 }] });
    expect(await everything(kit)).toEqual(before);

    const more = [...lines.slice(0, 700), person(5_000), ...lines.slice(700), person(5_001)];
    expect(await take(kit, more, { resume })).toMatchObject({ made: 2, unchanged: 1_101, refused: 1 });
    expect(await row(kit.db, sql`select count(*)::int as users, (select count(*)::int from outbox) as events from users`)).toEqual({
      users: 1_103,
      events: 1_103,
    });
  });

  it("by two at once makes everybody once", async () => {
    await using kit = await signInKit();
    const lines = people(1_200);

    const outcomes = await Promise.all([take(kit, lines), take(kit, lines.toReversed())]);

    expect(outcomes.map(({ made, unchanged, refused }) => made + unchanged + refused)).toEqual([1_200, 1_200]);
    expect(outcomes.map(({ refused }) => refused)).toEqual([0, 0]);
    expect(outcomes.reduce((sum, { made }) => sum + made, 0)).toBe(1_200);
    expect(await row(kit.db, sql`select count(*)::int as events, count(distinct subject)::int as subjects from outbox`)).toEqual({
      events: 1_200,
      subjects: 1_200,
    });
  });

  it("beside registrations of the same names leaves each name with one", async () => {
    await using kit = await signInKit();
    const lines = Array.from({ length: 20 }, (_, index) => ({ username: `name${index}`, email: `name${index}@example.com` }));

    const [outcome, registered] = await Promise.all([
      take(kit, lines),
      Promise.allSettled(lines.map(({ username }) => kit.registered(username))),
    ]);

    expect(outcome.made + registered.filter(({ status }) => status === "fulfilled").length).toBe(20);
    expect(outcome.made + outcome.unchanged).toBe(20);
  });

  it("finds in a dry run what stands thousands of lines apart", async () => {
    await using kit = await signInKit();
    const lines = [
      ...people(9_000),
      person(9_001, { username: "PERSON1" }),
      person(9_002, { email: "person8000@example.com" }),
      person(17),
    ];

    const dry = await take(kit, lines, { dryRun: true });

    expect(dry).toMatchObject({ lines: 9_003, made: 9_000, unchanged: 1, refused: 2, refusals: [{ line: 9_001 }, { line: 9_002 }] });
    expect(await everything(kit)).toEqual([]);
  });
});

describe("the first login after an import", () => {
  const argon2id = (password: string): string => {
    const cost = { nonce: Buffer.from("a salt of theirs"), parallelism: 1, tagLength: 32, memory: 1024, passes: 2 };
    const base64 = (bytes: Buffer): string => bytes.toString("base64").replace(/=+$/, "");
    return `$argon2id$v=19$m=1024,t=2,p=1$${base64(cost.nonce)}$${base64(argon2Sync("argon2id", { message: password, ...cost }))}`;
  };
  const long = `${"a".repeat(80)} is a long password`;

  it.each([
    ["bcrypt", bcryptjs.hashSync("securepass", 5), "securepass", /^\$2b\$04\$/],
    ["bcrypt as PHP writes it", bcryptjs.hashSync("securepass", 4).replace("$2b$", "$2y$"), "securepass", /^\$2b\$04\$/],
    ["bcrypt of the same cost as ours", bcryptjs.hashSync("securepass", 4), "securepass", /^\$2b\$04\$/],
    ["bcrypt that was cut", bcryptjs.hashSync(long, 4), long, /^sha256\$\$2b\$04\$/],
    ["argon2id", argon2id(long), long, /^sha256\$\$2b\$04\$/],
  ])("is with the password of before (%s), and hashes it in our way", async (_what, passwordHash, password, ours) => {
    await using kit = await signInKit();
    expect(await take(kit, [person(1, { passwordHash })])).toMatchObject({ made: 1 });

    expect(await signIn(kit, "person1", "wrong password")).toBe("credentials.invalid");
    expect(await hashOf(kit, "person1")).toBe(`imported$${passwordHash}`);
    expect(await signIn(kit, "person1@example.com", password)).toBe(idOf(1));
    expect(await hashOf(kit, "person1")).toMatch(ours);
    expect(await signIn(kit, "person1", password)).toBe(idOf(1));
    // From now on nothing is cut.
    expect(await signIn(kit, "person1", `${password.slice(0, 75)}!`)).toBe("credentials.invalid");
  });

  it("of an account without a hash is by a reset only, and says before what an absent account says", async () => {
    await using kit = await signInKit();
    await take(kit, [person(1)]);
    expect(await signIn(kit, "person1", "securepass")).toBe("credentials.invalid");

    await forgotPassword(kit, { email: "person1@example.com", client: testClient });
    const token = (await kit.mailTo("person1@example.com")).at(-1)?.token ?? "";
    await resetPassword(kit, { token, password: "a new password", keepSessions: false, client: testClient });

    expect(await signIn(kit, "person1", "a new password")).toBe(idOf(1));
  });
});
