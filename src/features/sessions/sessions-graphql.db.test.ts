import { expect, it } from "@jest/globals";
import { row, sql } from "#src/db/sql";
import type { Actor } from "#src/kernel/actor";
import { askGraphql } from "../../../test/kit/graphql.ts";
import { people } from "../../../test/kit/people.ts";
import { sessionKit } from "../../../test/kit/sessions.ts";
import { actorOf } from "../../../test/kit/social.ts";

it.each([
  ["logout { status }", 2],
  ["revokeSession(id: $id) { status }", 2],
  ["revokeOtherSessions { sessionsRevoked }", 1],
  ["revokeAllSessions { sessionsRevoked }", 0],
])("%s answers when this process has read what it committed", async (field, left) => {
  await using kit = await sessionKit();
  const { ann } = await people(kit.db, { ann: {} });
  const begun = [await kit.begin(ann), await kit.begin(ann), await kit.begin(ann)];
  const sessionId = begun[0]?.session.id as Actor["sessionId"];
  const standing = (): Promise<{ n: number } | undefined> =>
    row<{ n: number }>(kit.db, sql`select count(*)::int as n from sessions where user_id = ${ann.id}::uuid and revoked_at is null`);
  const found: unknown[] = [];
  const revocationsSettled = async (): Promise<void> => void found.push((await standing())?.n);
  const parameters = field.includes("$id") ? "($id: ID!)" : "";

  const { codes } = await askGraphql({ ...kit, revocationsSettled }, { ...actorOf(ann), sessionId }, `mutation${parameters} { ${field} }`, {
    variables: { id: begun[1]?.session.id },
  });

  expect([codes, found]).toEqual([[], [left]]);
});
