/** Many people for a neighbour that shows them, or does something for them. */

import type { PrivateField, PrivateFields } from "#src/contract/people";
import type { Db } from "#src/db/pool";
import { userNotFound } from "#src/features/accounts/public";
import { readPeople, type PersonView } from "#src/features/profiles/public";
import { accountRestricted } from "#src/features/sessions/public";
import { topRole, type Actor } from "#src/kernel/actor";
import { Problem } from "#src/kernel/problem";
import { STRANGER, type Viewer } from "#src/policy/decide";
import { selectFields, type FieldsRow } from "./batch.sql.ts";

interface Needs {
  readonly db: Db;
}

/** Someone as the viewer sees them, with the private fields that were asked for. */
export type BatchedPerson = PersonView & { readonly private?: PrivateFields };

/**
 * People in the order of the ids, each once; who is not there for the viewer is left out, their private fields too.
 * @param input.ids in lower case
 * @param input.viewerId left out: as an account sees them that has nothing to do with them
 * @throws Problem `user.not_found` where there is no such viewer (any more), `account.restricted` where they may see nobody
 */
export async function readBatch(
  deps: Needs,
  input: { readonly ids: readonly string[]; readonly viewerId: string | undefined; readonly fields: readonly PrivateField[] },
): Promise<BatchedPerson[]> {
  const { viewerId, fields } = input;
  const viewer = viewerId === undefined ? STRANGER : await viewerOf(deps, viewerId);
  const seen = await readPeople(deps, { viewer, ids: [...new Set(input.ids)], action: "view" });
  const shown = viewerId === undefined ? seen.map(withoutTies) : seen;
  if (fields.length === 0) return shown;
  const found = new Map(
    (
      await selectFields(
        deps.db,
        shown.map(({ id }) => id),
      )
    ).map((row) => [row.id, row]),
  );
  return shown.map((person) => ({ ...person, private: privateView(found.get(person.id), fields) }));
}

async function viewerOf(deps: Needs, viewerId: string): Promise<Viewer> {
  const [row] = await selectFields(deps.db, [viewerId]);
  if (row === undefined || row.status === "deactivated" || row.status === "erased") throw new Problem(userNotFound);
  if (row.status !== "active") throw new Problem(accountRestricted);
  return { userId: row.id as Actor["userId"], role: topRole(row.roles), restricted: false, limited: new Set(row.limited) };
}

/** Nothing is between somebody and a stranger. */
function withoutTies(person: PersonView): PersonView {
  if (!("isFollowing" in person)) return person;
  const { isFollowing: _, followRequested: __, followsYou: ___, ...rest } = person;
  return rest as PersonView;
}

function privateView(row: FieldsRow | undefined, fields: readonly PrivateField[]): PrivateFields {
  if (row === undefined) return {};
  const all: Required<PrivateFields> = {
    email: row.email,
    emailVerified: row.email_verified_at !== null,
    locale: row.locale,
    roles: row.roles,
    standing: { status: row.status, limited: row.limited },
  };
  return Object.fromEntries(fields.map((field) => [field, all[field]]));
}
