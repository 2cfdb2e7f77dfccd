import { describe, expect, it } from "@jest/globals";
import { closeDb, openDb, type Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { silentLog } from "#src/kernel/log";
import type { MailMessage } from "#src/mail/mail";
import { cloneDatabase } from "../../../test/kit/database.ts";
import { people } from "../../../test/kit/people.ts";
import { codeOf } from "../../../test/kit/outcome.ts";
import { changePreferences } from "../preferences/preferences.ts";
import { addNotice } from "./add-notice.ts";
import { listNotices, markAllNotices, markNotice } from "./list-notices.ts";
import { mailNotice } from "./mail-notice.ts";
import { kindOf } from "./kinds.ts";
import { noticeTypes, type NoticeContent } from "./notices.content.ts";
import { noticeSchema, noticeView } from "./notices.views.ts";

async function withDb(work: (db: Db) => Promise<void>): Promise<void> {
  await using database = await cloneDatabase();
  const db = openDb({ url: database.url, maxConnections: 4, applicationName: "test", log: silentLog });
  try {
    await work(db);
  } finally {
    await closeDb(db);
  }
}

const restrictionId = "019abc00-0000-7000-8000-000000000001";
const ended: NoticeContent = { type: "restriction.ended", data: { restrictionId, kind: "suspend" } };
const lifted: NoticeContent = { type: "restriction.lifted", data: { restrictionId, kind: "ban" } };

describe("addNotice", () => {
  it("tells in the app, by event and by mail job, all in the transaction", async () => {
    await withDb(async (db) => {
      const { ann } = await people(db, { ann: {} });
      await inTx(db, (tx) => addNotice(tx, ann.id, ended));
      const page = await listNotices({ db }, { userId: ann.id, cursor: undefined, limit: 10 });
      const [notice] = page.data.map(noticeView);
      expect(notice).toMatchObject({ type: "restriction.ended", data: ended.data, readAt: null });
      expect(noticeSchema.parse(notice)).toEqual(notice);
      const event = await row<{ topic: string; data: object }>(db, sql`select topic, data from outbox where subject = ${ann.id}::uuid`);
      expect(event).toEqual({ topic: "users.private.v1", data: { userId: ann.id, noticeId: notice?.id, noticeType: "restriction.ended" } });
      const jobs = await rows<{ payload: object }>(db, sql`select payload from jobs where kind = 'notices.mail'`);
      expect(jobs).toEqual([{ payload: { noticeId: notice?.id } }]);
    });
  });

  it("tells nobody of what was rolled back", async () => {
    await withDb(async (db) => {
      const { ann } = await people(db, { ann: {} });
      const failed = inTx(db, async (tx) => {
        await addNotice(tx, ann.id, ended);
        throw new Error("no");
      });
      await expect(failed).rejects.toThrow("no");
      const left = await row<{ n: number }>(
        db,
        sql`select (select count(*) from notices) + (select count(*) from outbox) + (select count(*) from jobs) as n`,
      );
      expect(left?.n).toBe(0);
    });
  });
});

describe("a user's notices", () => {
  it("come newest first in pages that neither repeat nor miss one", async () => {
    await withDb(async (db) => {
      const { ann, bob } = await people(db, { ann: {}, bob: {} });
      for (let number = 0; number < 5; number += 1) {
        await inTx(db, (tx) => addNotice(tx, ann.id, number % 2 === 0 ? ended : lifted));
        await inTx(db, (tx) => addNotice(tx, bob.id, ended));
      }
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await listNotices({ db }, { userId: ann.id, cursor, limit: 2 });
        seen.push(...page.data.map((notice) => notice.id));
        cursor = page.pagination.nextCursor ?? undefined;
      } while (cursor !== undefined);
      expect(seen).toHaveLength(5);
      expect(seen).toEqual([...new Set(seen)].sort().reverse());
    });
  });

  it("have no cursor of another list", async () => {
    await withDb(async (db) => {
      const { ann } = await people(db, { ann: {} });
      for (const cursor of [
        "x",
        Buffer.from(`["notices","drop table"]`).toString("base64url"),
        Buffer.from(`["sessions","${ann.id}"]`).toString("base64url"),
      ]) {
        expect(await codeOf(listNotices({ db }, { userId: ann.id, cursor, limit: 2 }))).toBe("input.invalid");
      }
    });
  });

  it("are marked as read by their user only, and the first moment stays", async () => {
    await withDb(async (db) => {
      const { ann, bob } = await people(db, { ann: {}, bob: {} });
      await inTx(db, (tx) => addNotice(tx, ann.id, ended));
      const noticeId = (await listNotices({ db }, { userId: ann.id, cursor: undefined, limit: 1 })).data[0]?.id ?? "";
      expect(await codeOf(markNotice({ db }, { userId: bob.id, noticeId, read: true }))).toBe("notice.not_found");
      const first = await markNotice({ db }, { userId: ann.id, noticeId, read: true });
      const second = await markNotice({ db }, { userId: ann.id, noticeId, read: true });
      expect(first.read_at).toBeInstanceOf(Date);
      expect(second.read_at).toEqual(first.read_at);
      expect((await markNotice({ db }, { userId: ann.id, noticeId, read: false })).read_at).toBeNull();
    });
  });
});

describe("the mail of a notice", () => {
  it("goes to the address the user has now, with the job's id as Message-ID at each try", async () => {
    await withDb(async (db) => {
      const { ann } = await people(db, { ann: { displayName: "Ann <3" } });
      await inTx(db, (tx) => addNotice(tx, ann.id, lifted));
      await affected(db, sql`update users set email = 'new@example.com' where id = ${ann.id}::uuid`);
      const work = await row<{ id: string; payload: { noticeId: string } }>(db, sql`select id, payload from jobs`);
      const sent: MailMessage[] = [];
      const mail = { send: (message: MailMessage) => Promise.resolve(void sent.push(message)) };
      const input = { noticeId: work?.payload.noticeId ?? "", messageId: work?.id ?? "" };
      expect(await mailNotice({ db, mail }, input)).toBe("sent");
      expect(await mailNotice({ db, mail }, input)).toBe("sent");
      expect(sent).toHaveLength(2);
      expect(sent[0]).toMatchObject({ messageId: work?.id, to: "new@example.com" });
      expect(sent[0]?.html).toContain("Ann &lt;3");
      expect(sent[1]).toEqual(sent[0]);
    });
  });

  it("is no error when the user is gone", async () => {
    await withDb(async (db) => {
      const { ann } = await people(db, { ann: {} });
      await inTx(db, (tx) => addNotice(tx, ann.id, lifted));
      await affected(db, sql`delete from users where id = ${ann.id}::uuid`);
      const mail = { send: () => Promise.reject(new Error("nobody to send to")) };
      const work = await row<{ payload: { noticeId: string } }>(db, sql`select payload from jobs`);
      expect(await mailNotice({ db, mail }, { noticeId: work?.payload.noticeId ?? "", messageId: "x" })).toBe("notice-gone");
    });
  });
});

describe("the inbox", () => {
  const add = (db: Db, userId: string, content: NoticeContent = lifted): Promise<void> => inTx(db, (tx) => addNotice(tx, userId, content));

  it("counts what is unread, lists only that by pages, and is read up to what its reader has seen", async () => {
    await withDb(async (db) => {
      const { ann, bob } = await people(db, { ann: {}, bob: {} });
      for (let n = 0; n < 5; n += 1) await add(db, ann.id);
      await add(db, bob.id);
      const list = (more: { cursor?: string; unreadOnly?: boolean; limit?: number } = {}) =>
        listNotices({ db }, { userId: ann.id, cursor: undefined, limit: 10, ...more });
      const ids = (await list()).data.map(({ id }) => id);
      await markNotice({ db }, { userId: ann.id, noticeId: ids[1] ?? "", read: true });

      const first = await list({ unreadOnly: true, limit: 3 });
      expect([first.data.map(({ id }) => id), first.unreadCount, first.unreadCountIsExact]).toEqual([[ids[0], ids[2], ids[3]], 4, true]);
      const second = await list({ unreadOnly: true, limit: 3, cursor: first.pagination.nextCursor ?? "" });
      expect([second.data.map(({ id }) => id), second.pagination.nextCursor]).toEqual([[ids[4]], null]);

      expect(await markAllNotices({ db }, { userId: ann.id, upToId: ids[2] })).toBe(3);
      expect((await list({ unreadOnly: true })).data.map(({ id }) => id)).toEqual([ids[0]]);
      expect(await markAllNotices({ db }, { userId: ann.id, upToId: undefined })).toBe(1);
      expect(await list()).toMatchObject({ unreadCount: 0 });
      expect(await listNotices({ db }, { userId: bob.id, cursor: undefined, limit: 10 })).toMatchObject({ unreadCount: 1 });
    });
  });

  it("counts as far as a thousand", async () => {
    await withDb(async (db) => {
      const { ann } = await people(db, { ann: {} });
      await affected(
        db,
        sql`insert into notices (id, user_id, type, data)
            select gen_random_uuid(), ${ann.id}::uuid, 'security.recovery_codes_renewed', '{}' from generate_series(1, 1001)`,
      );
      expect(await listNotices({ db }, { userId: ann.id, cursor: undefined, limit: 1 })).toMatchObject({
        unreadCount: 1000,
        unreadCountIsExact: false,
      });
    });
  });

  it("has no kind that may be turned off for security and moderation, and tells those with everything turned off", async () => {
    const types = noticeTypes.map(({ shape }) => [...shape.type.values][0] as string);
    expect(types.filter((type) => kindOf(type) !== undefined)).toEqual(["follow.started", "follow.requested", "follow.accepted"]);
    await withDb(async (db) => {
      const { ann } = await people(db, { ann: {} });
      const off = { app: false, push: false };
      await changePreferences(
        { db },
        { actor: { userId: ann.id }, change: { notifications: { follows: off, followRequests: off, followAccepted: off } } },
      );

      await add(db, ann.id, { type: "follow.started", data: { userId: ann.id } });
      await add(db, ann.id, { type: "security.factor_removed", data: { factor: "totp" } });

      const told = await rows(db, sql`select type from notices`);
      expect(told).toEqual([{ type: "security.factor_removed" }]);
      expect(await rows(db, sql`select kind from jobs`)).toEqual([{ kind: "notices.mail" }]);
      expect(await rows(db, sql`select data->>'noticeType' as type from outbox`)).toEqual(told);
    });
  });
});
