/** What one lets whom see. */

import { privacyChanged, userProfileUpdated } from "#src/contract/event-types";
import type { Db } from "#src/db/pool";
import { inTx, type Tx } from "#src/db/tx";
import { appendEvent, lockSubject } from "#src/events/append";
import { detailsOf, userNotFound, writeProfile } from "#src/features/accounts/public";
import type { Actor } from "#src/kernel/actor";
import { Problem } from "#src/kernel/problem";
import { isSamePrivacy, PRESETS, type Privacy } from "#src/policy/privacy";
import { toldOf } from "./me.ts";
import { selectPrivacy, writePrivacy } from "./privacy.sql.ts";
import type { PrivacyChange } from "./profiles.schemas.ts";
import { selectMany } from "./profiles.sql.ts";
import { markTie } from "./tie-changes.sql.ts";

interface Needs {
  readonly db: Db;
}

/** One's own settings, whole. */
export async function readPrivacy(deps: Needs, actor: Pick<Actor, "userId">): Promise<Privacy> {
  return await selectPrivacy(deps.db, actor.userId);
}

/**
 * Changes what is given, a preset first. Holds from the commit on, for those who watch already too. Requests to follow that
 * wait go on waiting when they are not needed any more: nobody becomes a follower by a change of settings.
 * @throws Problem `user.not_found` when the account is gone
 */
export async function changePrivacy(
  deps: Needs,
  input: { readonly actor: Pick<Actor, "userId">; readonly change: PrivacyChange },
): Promise<Privacy> {
  const { userId } = input.actor;
  return await inTx(deps.db, async (tx) => {
    // Line 2 of the lock order, before anything is read: two changes at once come one after the other.
    await lockSubject(tx, userId);
    const before = await selectPrivacy(tx, userId);
    const wanted = merge(before, input.change);
    if (isSamePrivacy(before, wanted)) return before;
    await appendEvent(tx, privacyChanged, { subject: userId, data: { userId, privacy: wanted } });
    if (before.profile !== wanted.profile) await tellWhoSeesProfile(tx, userId, wanted);
    await writePrivacy(tx, userId, wanted);
    await markTie(tx, userId, null);
    return wanted;
  });
}

function merge(before: Privacy, { preset, ...keys }: PrivacyChange): Privacy {
  const base = preset === undefined ? before : PRESETS[preset];
  return { ...base, ...Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined)) };
}

/** Whoever keeps a copy of profiles hears of it there, in order with the profile's other changes. */
async function tellWhoSeesProfile(tx: Tx, userId: string, privacy: Privacy): Promise<void> {
  const me = (await selectMany(tx, [userId])).get(userId);
  if (me === undefined) throw new Problem(userNotFound);
  const part = { displayName: me.display_name, avatarUrl: me.avatar_url, bio: me.bio, details: detailsOf(me.details) };
  await appendEvent(tx, userProfileUpdated, {
    subject: userId,
    data: { userId, username: me.username, ...toldOf(part), profileVersion: me.version + 1, visibleTo: privacy.profile },
  });
  await writeProfile(tx, userId, part);
}
