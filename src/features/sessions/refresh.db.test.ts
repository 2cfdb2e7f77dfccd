import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { affected, row, rows, sql } from "#src/db/sql";
import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { systemClock } from "#src/kernel/clock";
import { Problem } from "#src/kernel/problem";
import { people } from "../../../test/kit/people.ts";
import { sessionKit, testClient, type SessionKit } from "../../../test/kit/sessions.ts";
import { generateKeyRing, parseKeyRing } from "./key-ring.ts";
import { holdKeyRing } from "./key-ring-source.ts";
import { refresh } from "./refresh.ts";
import { createRefreshTokens } from "./refresh-token.ts";
import { revokeAll } from "./revoke.ts";

async function present(kit: SessionKit, refreshToken: string): Promise<string> {
  return (await refresh(kit, { refreshToken, client: testClient })).refreshToken;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => "ok",
    (error: unknown) => {
      if (error instanceof Problem) return error.code;
      throw error;
    },
  );
}

/** Lets time pass for the newest token of every session. */
async function later(db: Db, seconds: number): Promise<void> {
  await inTx(db, async (tx) => {
    await affected(tx, sql`update refresh_tokens set made_at = made_at - make_interval(secs => ${seconds})`);
  });
}

describe("refresh", () => {
  it("gives one successor to fifty who present the same token at once", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const { refreshToken } = await kit.begin(ann);

    const answers = await Promise.all(Array.from({ length: 50 }, () => present(kit, refreshToken)));

    expect(new Set(answers).size).toBe(1);
    expect(answers[0]).not.toBe(refreshToken);
    expect(await rows(kit.db, sql`select generation from refresh_tokens`)).toEqual([{ generation: 1 }]);
  });

  it("gives the same successor when the answer was lost and is asked for an hour later", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const { refreshToken } = await kit.begin(ann);

    const lost = await present(kit, refreshToken);
    await later(kit.db, 3_600);

    expect(await present(kit, refreshToken)).toBe(lost);
    expect(await codeOf(present(kit, lost))).toBe("ok");
  });

  it("bears a second tab within the grace after the successor's first use", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const first = (await kit.begin(ann)).refreshToken;
    const second = await present(kit, first);
    const third = await present(kit, second);

    expect(await present(kit, first)).toBe(second);
    expect(await present(kit, second)).toBe(third);
  });

  it("takes a replay after use and grace for theft: ends the session, tells every process, emits the event once", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const first = (await kit.begin(ann)).refreshToken;
    const newest = await present(kit, await present(kit, first));
    await later(kit.db, 31);

    expect(await Promise.all([1, 2, 3].map(() => codeOf(present(kit, first))))).toContain("refresh.reused");

    expect(await codeOf(present(kit, newest))).toBe("session.revoked");
    expect(await rows(kit.db, sql`select reason, session_id is not null as one from revocations`)).toEqual([
      { reason: "refresh_reused", one: true },
    ]);
    expect(await rows(kit.db, sql`select count(*) as n from outbox where type like '%refresh_reuse%'`)).toEqual([{ n: 1 }]);
    expect(await rows(kit.db, sql`select type, data ->> 'device' as device from notices`)).toEqual([
      { type: "security.refresh_reuse", device: null },
    ]);
  });

  it("takes any older generation for theft", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const first = (await kit.begin(ann)).refreshToken;
    let token = first;
    for (let turn = 0; turn < 3; turn += 1) token = await present(kit, token);

    expect(await codeOf(present(kit, first))).toBe("refresh.reused");
  });

  it("lets a forged, cut or otherwise spelled token revoke nothing", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const { refreshToken } = await kit.begin(ann);
    const [kid, body, mac] = refreshToken.split(".") as [string, string, string];
    const foreign = createRefreshTokens(holdKeyRing(parseKeyRing(generateKeyRing()), systemClock)).make(
      kit.refreshTokens.parse(refreshToken) instanceof Object ? "00000000-0000-7000-8000-000000000000" : "",
      5,
    ).text;
    const forged = [
      `${kid}.${body}.${"A".repeat(43)}`,
      `${kid}.${body}.${mac.slice(0, -1)}`,
      `${kid}.${body}.${mac}=`,
      `${kid}.${body}`,
      `${kid}.${body}.${mac}.${mac}`,
      `nobody.${body}.${mac}`,
      foreign,
      "",
      ".",
      "..",
    ];

    expect(await Promise.all(forged.map((text) => codeOf(present(kit, text))))).toEqual(forged.map(() => "refresh.invalid"));
    expect(await rows(kit.db, sql`select 1 from revocations`)).toEqual([]);
    expect(await codeOf(present(kit, refreshToken))).toBe("ok");
  });

  it("does not notice a rotation of the server's keys in between", async () => {
    const old = JSON.parse(generateKeyRing()) as { accessKeys: unknown[]; refreshKeys: unknown[] };
    const fresh = JSON.parse(generateKeyRing()) as typeof old;
    const both = JSON.stringify({
      accessKeys: [...fresh.accessKeys, ...old.accessKeys],
      refreshKeys: [...fresh.refreshKeys, ...old.refreshKeys],
    });
    await using kit = await sessionKit(parseKeyRing(JSON.stringify(old)));
    const rotated = { ...kit, refreshTokens: createRefreshTokens(holdKeyRing(parseKeyRing(both), systemClock)) };
    const { ann } = await people(kit.db, { ann: {} });
    const first = (await kit.begin(ann)).refreshToken;

    const second = await present(kit, first);

    expect(await present(rotated, first)).toBe(second);
    const third = await present(rotated, second);
    expect(third.split(".")[0]).not.toBe(second.split(".")[0]);
    expect(await present(rotated, second)).toBe(third);
    await later(kit.db, 31);
    expect(await codeOf(present(rotated, first))).toBe("refresh.reused");
  });

  it("ends with the session: revoked, idle for 30 days, past its end", async () => {
    await using kit = await sessionKit();
    const { ann, bob, eve } = await people(kit.db, { ann: {}, bob: {}, eve: {} });
    const [revoked, idle, over] = [await kit.begin(ann), await kit.begin(bob), await kit.begin(eve)];
    await inTx(kit.db, async (tx) => {
      await revokeAll(tx, ann.id, "logged_out_everywhere");
      await affected(tx, sql`update refresh_tokens set made_at = now() - interval '31 days' where session_id = ${idle.session.id}::uuid`);
      await affected(tx, sql`update sessions set expires_at = now() - interval '1 second' where id = ${over.session.id}::uuid`);
    });

    expect(await codeOf(present(kit, revoked.refreshToken))).toBe("session.revoked");
    expect(await codeOf(present(kit, idle.refreshToken))).toBe("session.expired");
    expect(await codeOf(present(kit, over.refreshToken))).toBe("session.expired");
  });

  it("stores no token from which one could be made", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const tokens = [(await kit.begin(ann)).refreshToken];
    for (let turn = 0; turn < 3; turn += 1) tokens.push(await present(kit, tokens.at(-1) ?? ""));
    const dump = JSON.stringify(
      await row(
        kit.db,
        sql`select (select jsonb_agg(to_jsonb(r)) from refresh_tokens r) as t, (select jsonb_agg(to_jsonb(s)) from sessions s) as s`,
      ),
    );

    for (const token of tokens) {
      const parts = token.split(".").slice(1);
      for (const part of parts) {
        expect(dump).not.toContain(part);
        expect(dump).not.toContain(Buffer.from(part, "base64url").toString("hex"));
      }
    }
  });

  it("agrees with its model over random interleavings of refreshing, replaying, waiting and revoking", async () => {
    await using kit = await sessionKit();
    let people_ = 0;
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constant("present" as const), back: fc.integer({ min: 0, max: 4 }) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("wait" as const), seconds: fc.constantFrom(5, 31, 3_600, 90_000) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("revoke" as const) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        people_ += 1;
        const { someone } = await people(kit.db, { someone: { username: `someone${people_}` } });
        const begun = await kit.begin(someone);
        const model = { tokens: [begun.refreshToken], age: 0, standing: true };
        for (const one of steps) {
          if (one.do === "wait") {
            await inTx(kit.db, (tx) =>
              affected(
                tx,
                sql`update refresh_tokens set made_at = made_at - make_interval(secs => ${one.seconds}) where session_id = ${begun.session.id}::uuid`,
              ),
            );
            model.age += one.seconds;
          } else if (one.do === "revoke") {
            await inTx(kit.db, (tx) => revokeAll(tx, someone.id, "logged_out_everywhere"));
            model.standing = false;
          } else {
            await presentAndCompare(kit, model, one.back);
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});

/** What must come of presenting the token made `back` turns before the newest, and that it does. */
async function presentAndCompare(
  kit: SessionKit,
  model: { tokens: string[]; age: number; standing: boolean },
  back: number,
): Promise<void> {
  const index = Math.max(0, model.tokens.length - 1 - back);
  const distance = model.tokens.length - 1 - index;
  const token = model.tokens[index] ?? "";
  const outcome = await refresh(kit, { refreshToken: token, client: testClient }).then(
    (answer) => answer.refreshToken,
    (error: unknown) => (error instanceof Problem ? error.code : String(error)),
  );
  if (!model.standing) {
    expect(outcome).toBe("session.revoked");
  } else if (distance === 0 && model.age < 30 * 86_400) {
    expect(model.tokens).not.toContain(outcome);
    model.tokens.push(outcome);
    model.age = 0;
  } else if ((distance === 1 && model.age < 86_400) || (distance === 2 && model.age < 30)) {
    expect(outcome).toBe(model.tokens[index + 1]);
  } else if (distance === 0) {
    expect(outcome).toBe("session.expired");
  } else {
    expect(outcome).toBe("refresh.reused");
    model.standing = false;
  }
}
