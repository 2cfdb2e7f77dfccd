/** How one likes the service to look, speak and tell. */

import { userLocale, userNotFound, writeLocale } from "#src/features/accounts/public";
import type { Db } from "#src/db/pool";
import { inTx, type Tx } from "#src/db/tx";
import type { Actor } from "#src/kernel/actor";
import { Problem } from "#src/kernel/problem";
import type { PreferencesChange, PreferencesView } from "./preferences.schemas.ts";
import { selectPreferences, writePreferences } from "./preferences.sql.ts";
import { NOTICE_KINDS, upgrade, VERSION, type NoticeKind, type Preferences } from "./versions.ts";

interface Needs {
  readonly db: Db;
}

/** One's own, whole. @throws Problem `user.not_found` when the account is gone */
export async function readPreferences(deps: Needs, actor: Pick<Actor, "userId">): Promise<PreferencesView> {
  const language = await userLocale(deps.db, actor.userId);
  if (language === undefined) throw new Problem(userNotFound);
  return { language, ...upgrade(await selectPreferences(deps.db, actor.userId)) };
}

/** Changes what is given; two changes at once come one after the other. @throws Problem `user.not_found` when the account is gone */
export async function changePreferences(
  deps: Needs,
  input: { readonly actor: Pick<Actor, "userId">; readonly change: PreferencesChange },
): Promise<PreferencesView> {
  const { userId } = input.actor;
  const { language, ...change } = input.change;
  return await inTx(deps.db, async (tx) => {
    // Also the lock (line 3): the row is written with its own value where no language is given.
    const spoken = await writeLocale(tx, userId, language);
    if (spoken === undefined) throw new Problem(userNotFound);
    const wanted = merge(upgrade(await selectPreferences(tx, userId)), change);
    if (Object.keys(change).length > 0) await writePreferences(tx, userId, { version: VERSION, data: wanted });
    return { language: spoken, ...wanted };
  });
}

function merge(before: Preferences, change: Omit<PreferencesChange, "language">): Preferences {
  const told = NOTICE_KINDS.map((kind) => {
    const { app, push } = before.notifications[kind];
    const asked = change.notifications?.[kind];
    return [kind, { app: asked?.app ?? app, push: asked?.push ?? push }];
  });
  return {
    theme: change.theme ?? before.theme,
    reducedMotion: change.reducedMotion ?? before.reducedMotion,
    notifications: Object.fromEntries(told) as Preferences["notifications"],
  };
}

/** Where somebody wants to be told of a kind of thing. */
export async function channelsFor(on: Db | Tx, userId: string, kind: NoticeKind): Promise<Preferences["notifications"][NoticeKind]> {
  return upgrade(await selectPreferences(on, userId)).notifications[kind];
}
