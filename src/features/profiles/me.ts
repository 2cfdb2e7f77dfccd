/** One's own profile. */

import { isDeepStrictEqual } from "node:util";
import { detailsOf, isSameName, userNotFound, writeProfile, type Details, type ProfilePart } from "#src/features/accounts/public";
import { userProfileUpdated } from "#src/contract/event-types";
import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { appendEvent, lockSubject } from "#src/events/append";
import { topRole, type Actor } from "#src/kernel/actor";
import { inputInvalid, Problem } from "#src/kernel/problem";
import { decide, type Relationship, type Viewer } from "#src/policy/decide";
import { selectPrivacy } from "./privacy.sql.ts";
import { rename } from "./rename.ts";
import { refuse } from "./profiles.errors.ts";
import type { ProfileChange } from "./profiles.schemas.ts";
import { selectMany, selectMe, selectStanding, type MeRow, type StandingRow } from "./profiles.sql.ts";
import { meView, type MeView } from "./profiles.views.ts";

interface Needs {
  readonly db: Db;
}

interface WritingNeeds extends Needs {
  readonly config: { readonly avatarHosts: readonly string[] | undefined };
}

/** One's own account with counters; one statement. @throws Problem `user.not_found` when it is gone */
export async function readMe(deps: Needs, actor: Pick<Actor, "userId">): Promise<MeView> {
  const me = await selectMe(deps.db, actor.userId);
  if (me === undefined) throw new Problem(userNotFound);
  return meView(me);
}

/**
 * Changes what is given of one's profile. A change that changes nothing makes no version and no event.
 * @throws Problem `account.restricted`, `capability.limited`, by the standing at this moment; for a username as `rename`
 */
export async function updateProfile(
  deps: WritingNeeds,
  input: { readonly actor: Pick<Actor, "userId"> & Partial<Pick<Actor, "sessionId">>; readonly change: ProfileChange },
): Promise<MeView> {
  const { userId } = input.actor;
  requireAvatarHost(deps, input.change.avatarUrl);
  return await inTx(deps.db, async (tx) => {
    // Line 2 of the lock order, before anything is read: two changes at once come one after the other.
    await lockSubject(tx, userId);
    const [me, standing, privacy] = [
      (await selectMany(tx, [userId])).get(userId),
      await selectStanding(tx, userId),
      await selectPrivacy(tx, userId),
    ];
    if (me === undefined || standing === undefined) throw new Problem(userNotFound);
    refuse(decide(viewerOf(me, standing), { id: userId, ...standing, privacy }, NOTHING_BETWEEN, "edit_profile"));
    const wanted = merge(me, input.change);
    const username = input.change.username ?? me.username;
    const renamed = username !== me.username;
    if (isSame(me, wanted) && !renamed) return meView(me);
    await appendEvent(tx, userProfileUpdated, {
      subject: userId,
      data: {
        userId,
        username,
        ...(renamed && !isSameName(me.username, username) && { previousUsername: me.username }),
        ...toldOf(wanted),
        profileVersion: me.version + 1,
        visibleTo: privacy.profile,
      },
    });
    if (renamed) await rename(tx, { ...input.actor, from: me.username, to: username });
    await writeProfile(tx, userId, wanted);
    const changed = (await selectMany(tx, [userId])).get(userId);
    if (changed === undefined) throw new Error("the profile just written is not there");
    return meView(changed);
  });
}

const NOTHING_BETWEEN: Relationship = { blocked: false, blocking: false, follows: false };

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
    details: mergeDetails(detailsOf(me.details), change),
  };
}

function isSame(me: MeRow, wanted: ProfilePart): boolean {
  return (
    me.display_name === wanted.displayName &&
    me.bio === wanted.bio &&
    me.avatar_url === wanted.avatarUrl &&
    isDeepStrictEqual(detailsOf(me.details), wanted.details)
  );
}

function mergeDetails(before: Details, change: ProfileChange): Details {
  return {
    links: change.links ?? before.links,
    pronouns: change.pronouns === undefined ? before.pronouns : change.pronouns,
    location: change.location === undefined ? before.location : change.location,
    timezone: change.timezone === undefined ? before.timezone : change.timezone,
  };
}

/** The public part as events carry it. */
export function toldOf({
  details,
  ...part
}: ProfilePart): Omit<ProfilePart, "details"> & { details: Omit<Details, "links"> & { links: { label: string; url: string }[] } } {
  return { ...part, details: { ...details, links: [...details.links] } };
}

/** A picture of before stays, wherever it is. */
function requireAvatarHost({ config }: WritingNeeds, avatarUrl: string | null | undefined): void {
  if (avatarUrl === null || avatarUrl === undefined || config.avatarHosts === undefined) return;
  if (config.avatarHosts.includes(new URL(avatarUrl).host)) return;
  throw new Problem(inputInvalid, { errors: [{ path: "avatarUrl", message: `a picture at ${config.avatarHosts.join(" or ")}` }] });
}
