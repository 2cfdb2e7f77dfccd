/** One's own profile. */

import { userNotFound, writeProfile, type ProfilePart } from "#src/features/accounts/public";
import { userProfileUpdated } from "#src/contract/event-types";
import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { appendEvent, lockSubject } from "#src/events/append";
import { topRole, type Actor } from "#src/kernel/actor";
import { Problem } from "#src/kernel/problem";
import { decide, type Viewer } from "#src/policy/decide";
import { refuse } from "./profiles.errors.ts";
import type { ProfileChange } from "./profiles.schemas.ts";
import { selectMany, selectMe, selectStanding, type MeRow, type StandingRow } from "./profiles.sql.ts";
import { meView, type MeView } from "./profiles.views.ts";

interface Needs {
  readonly db: Db;
}

/** One's own account with counters; one statement. @throws Problem `user.not_found` when it is gone */
export async function readMe(deps: Needs, actor: Pick<Actor, "userId">): Promise<MeView> {
  const me = await selectMe(deps.db, actor.userId);
  if (me === undefined) throw new Problem(userNotFound);
  return meView(me);
}

/**
 * Changes what is given of one's profile. A change that changes nothing makes no version and no event.
 * @throws Problem `account.restricted`, `capability.limited`, by the standing at this moment
 */
export async function updateProfile(
  deps: Needs,
  input: { readonly actor: Pick<Actor, "userId">; readonly change: ProfileChange },
): Promise<MeView> {
  const { userId } = input.actor;
  return await inTx(deps.db, async (tx) => {
    // Line 2 of the lock order, before anything is read: two changes at once come one after the other.
    await lockSubject(tx, userId);
    const [me, standing] = [(await selectMany(tx, [userId])).get(userId), await selectStanding(tx, userId)];
    if (me === undefined || standing === undefined) throw new Problem(userNotFound);
    refuse(decide(viewerOf(me, standing), { id: userId, ...standing }, { blocked: false }, "edit_profile"));
    const wanted = merge(me, input.change);
    if (isSame(me, wanted)) return meView(me);
    await appendEvent(tx, userProfileUpdated, {
      subject: userId,
      data: {
        userId,
        username: me.username,
        displayName: wanted.displayName,
        avatarUrl: wanted.avatarUrl,
        bio: wanted.bio,
        profileVersion: me.version + 1,
      },
    });
    await writeProfile(tx, userId, wanted);
    const changed = (await selectMany(tx, [userId])).get(userId);
    if (changed === undefined) throw new Error("the profile just written is not there");
    return meView(changed);
  });
}

function viewerOf(me: MeRow, standing: StandingRow): Viewer {
  return {
    userId: me.id as Viewer["userId"],
    role: topRole(me.roles),
    restricted: standing.status !== "active",
    limited: new Set(standing.limited),
  };
}

function merge(me: MeRow, change: ProfileChange): ProfilePart {
  return {
    displayName: change.displayName ?? me.display_name,
    bio: change.bio ?? me.bio,
    avatarUrl: change.avatarUrl === undefined ? me.avatar_url : change.avatarUrl,
  };
}

function isSame(me: MeRow, wanted: ProfilePart): boolean {
  return me.display_name === wanted.displayName && me.bio === wanted.bio && me.avatar_url === wanted.avatarUrl;
}
