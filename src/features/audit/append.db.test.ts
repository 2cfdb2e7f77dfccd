import { createHash } from "node:crypto";
import { describe, expect, it } from "@jest/globals";
import { closeDb, openDb, type Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { systemClock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { silentLog } from "#src/kernel/log";
import { cloneDatabase } from "../../../test/kit/database.ts";
import { appendAudit, type AuditEntry } from "./append.ts";

async function withDb(work: (db: Db) => Promise<void>): Promise<void> {
  await using database = await cloneDatabase();
  const db = openDb({ url: database.url, maxConnections: 4, applicationName: "test", log: silentLog });
  try {
    await work(db);
  } finally {
    await closeDb(db);
  }
}

function entry(more: Partial<AuditEntry> = {}): AuditEntry {
  return {
    actorId: newUuid(systemClock),
    action: "restriction.imposed",
    subjectId: newUuid(systemClock),
    facts: { kind: "ban", capabilities: ["post"] },
    ...more,
  };
}

interface Logged {
  readonly id: string;
  readonly actor_id: string | null;
  readonly action: string;
  readonly subject_id: string;
  readonly facts: object;
  readonly details_hash: Buffer | null;
  readonly content: Buffer | null;
}

async function logged(db: Db): Promise<Logged[]> {
  return await rows<Logged>(
    db,
    sql`select l.id, l.actor_id, l.action, l.subject_id, l.facts, l.details_hash, d.content
        from audit_log l left join audit_details d on d.audit_id = l.id order by l.id`,
  );
}

describe("appendAudit", () => {
  it("keeps ids and codes in the log, and personal text apart under its hash", async () => {
    await withDb(async (db) => {
      const decision = entry({ details: { message: "Bitte höflich bleiben" } });
      await inTx(db, (tx) => appendAudit(tx, decision));
      const [found] = await logged(db);
      expect(found).toMatchObject({ actor_id: decision.actorId, action: "restriction.imposed", subject_id: decision.subjectId });
      expect(found?.facts).toEqual({ kind: "ban", capabilities: ["post"] });
      const content = found?.content ?? Buffer.alloc(0);
      expect(JSON.parse(content.toString("utf8"))).toEqual({ message: "Bitte höflich bleiben" });
      expect(found?.details_hash?.toString("hex")).toBe(createHash("sha256").update(content).digest("hex"));
    });
  });

  it("keeps no details where there is no personal text", async () => {
    await withDb(async (db) => {
      await inTx(db, (tx) => appendAudit(tx, entry({ details: {} })));
      const [found] = await logged(db);
      expect(found).toMatchObject({ details_hash: null, content: null });
    });
  });

  it("vanishes with the decision when its transaction fails", async () => {
    await withDb(async (db) => {
      const failed = inTx(db, async (tx) => {
        await appendAudit(tx, entry({ details: { note: "never" } }));
        throw new Error("the decision failed");
      });
      await expect(failed).rejects.toThrow("the decision failed");
      expect(await logged(db)).toEqual([]);
      expect(await row(db, sql`select 1 from audit_details`)).toBeUndefined();
    });
  });

  it("refuses every change of what was logged", async () => {
    await withDb(async (db) => {
      await inTx(db, (tx) => appendAudit(tx, entry({ details: { note: "as it was" } })));
      const refused = "is refused: rows are only added";
      await expect(affected(db, sql`update audit_log set action = 'restriction.lifted'`)).rejects.toThrow(refused);
      await expect(affected(db, sql`delete from audit_log`)).rejects.toThrow(refused);
      await expect(affected(db, sql`truncate audit_log cascade`)).rejects.toThrow(refused);
      await expect(affected(db, sql`update audit_details set content = 'other'::bytea`)).rejects.toThrow(refused);
    });
  });

  it("lets personal text go while the log stays", async () => {
    await withDb(async (db) => {
      await inTx(db, (tx) => appendAudit(tx, entry({ details: { note: "erase me" } })));
      await affected(db, sql`delete from audit_details`);
      const [found] = await logged(db);
      expect(found?.content).toBeNull();
      expect(found?.details_hash).toHaveLength(32);
    });
  });
});
