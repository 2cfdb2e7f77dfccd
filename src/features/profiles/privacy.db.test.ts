import { describe, expect, it } from "@jest/globals";
import { affected, rows, sql } from "#src/db/sql";
import { PRESETS } from "#src/policy/privacy";
import { people } from "../../../test/kit/people.ts";
import { actorOf, socialKit } from "../../../test/kit/social.ts";
import { updateProfile } from "./me.ts";
import { readProfile } from "./people.ts";
import { changePrivacy, readPrivacy } from "./privacy.ts";
import { privacyChange } from "./profiles.schemas.ts";
import { privacyView, profileSchema } from "./profiles.views.ts";

describe("privacy settings", () => {
  it("are open at first, but for the address", async () => {
    await using kit = await socialKit();
    const { ann } = await people(kit.db, { ann: {} });

    expect(privacyView(await readPrivacy(kit, { userId: ann.id }))).toEqual({ preset: "open", ...PRESETS.open });
    expect(PRESETS.open.email).toBe("nobody");
  });

  it("change by key or by preset, keys winning, and are told whole, privately", async () => {
    await using kit = await socialKit();
    const { ann } = await people(kit.db, { ann: {} });
    const change = (wanted: object): Promise<unknown> =>
      changePrivacy(kit, { actor: { userId: ann.id }, change: privacyChange.parse(wanted) }).then(privacyView);

    expect(await change({ typing: "nobody" })).toEqual({ ...PRESETS.open, preset: null, typing: "nobody" });
    expect(await change({ preset: "private", messages: "nobody" })).toEqual({ ...PRESETS.private, preset: null, messages: "nobody" });
    expect(await change({ preset: "friends" })).toEqual({ ...PRESETS.friends, preset: "friends" });
    expect(await change({ preset: "friends" })).toEqual({ ...PRESETS.friends, preset: "friends" });
    expect(await change({})).toEqual({ ...PRESETS.friends, preset: "friends" });
    expect(privacyView(await readPrivacy(kit, { userId: ann.id }))).toEqual({ ...PRESETS.friends, preset: "friends" });

    const told = await rows<{ topic: string; data: unknown }>(
      kit.db,
      sql`select topic, data from outbox where type like '%privacy_changed%' order by user_version`,
    );
    expect(told).toHaveLength(3);
    expect(told[2]).toEqual({ topic: "users.private.v1", data: { userId: ann.id, privacy: PRESETS.friends } });
  });

  it("tell keepers of copies when the profile is for others now, in order with its changes", async () => {
    await using kit = await socialKit();
    const { ann } = await people(kit.db, { ann: {} });
    const actor = { userId: ann.id };
    await updateProfile(kit, { actor, change: { bio: "one" } });
    await changePrivacy(kit, { actor, change: { profile: "nobody" } });
    await changePrivacy(kit, { actor, change: { typing: "nobody" } });
    await updateProfile(kit, { actor, change: { bio: "two" } });

    expect(
      await rows(
        kit.db,
        sql`select (data->>'profileVersion')::int as version, data->>'bio' as bio, data->>'visibleTo' as to from outbox
            where type like '%profile_updated%' order by user_version`,
      ),
    ).toEqual([
      { version: 2, bio: "one", to: "everyone" },
      { version: 3, bio: "one", to: "nobody" },
      { version: 4, bio: "two", to: "nobody" },
    ]);
  });

  it("refuse what is no key and no audience", () => {
    for (const wrong of [{ profile: "friends" }, { Profile: "nobody" }, { preset: "closed" }, { requireFollowApproval: "yes" }]) {
      expect(privacyChange.safeParse(wrong).success).toBe(false);
    }
  });

  it("hold in a profile at once: names only, address and counts where they are for the viewer", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    const seen = async (): Promise<Record<string, unknown>> =>
      profileSchema.parse(await readProfile(kit, { viewer: actorOf(bob), idOrUsername: "ann" }));
    const actor = { userId: ann.id };

    await changePrivacy(kit, { actor, change: { email: "followers", followersList: "nobody" } });
    expect(await seen()).toMatchObject({ status: "active", email: null, followersCount: null, followingCount: 0 });
    await affected(
      kit.db,
      sql`insert into follows (follower_id, followee_id, state) values (${bob.id}::uuid, ${ann.id}::uuid, 'accepted')`,
    );
    expect(await seen()).toMatchObject({ email: "ann@example.com", followersCount: null });
    await changePrivacy(kit, { actor, change: { profile: "nobody" } });
    expect(await seen()).toEqual({
      id: ann.id,
      username: "ann",
      displayName: "ann",
      avatarUrl: null,
      status: "private",
      isFollowing: true,
      followRequested: false,
      followsYou: false,
    });
  });
});
