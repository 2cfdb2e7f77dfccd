import { describe, expect, it } from "@jest/globals";
import { row, rows, sql } from "#src/db/sql";
import { people } from "../../../test/kit/people.ts";
import { actorOf, restrict, socialKit } from "../../../test/kit/social.ts";
import { readMe, updateProfile } from "./me.ts";
import { readProfile } from "./people.ts";
import { changePrivacy } from "./privacy.ts";
import { meSchema } from "./profiles.views.ts";

describe("one's own account", () => {
  it("is read whole in one statement", async () => {
    await using kit = await socialKit();
    const { ann } = await people(kit.db, { ann: { roles: ["user", "moderator"], displayName: "Ann A." } });
    await row(kit.db, sql`insert into follow_counts (user_id, followers_count, following_count) values (${ann.id}::uuid, 3, 2)`);
    await row(
      kit.db,
      sql`insert into count_deltas (user_id, followers, following) values (${ann.id}::uuid, 1, 0), (${ann.id}::uuid, 0, -1)`,
    );
    let me: unknown;

    expect(
      await kit.statements(async () => {
        me = await readMe(kit, { userId: ann.id });
      }),
    ).toBe(1);

    expect(meSchema.strict().parse(me)).toEqual({
      id: ann.id,
      username: "ann",
      email: "ann@example.com",
      emailVerified: false,
      displayName: "Ann A.",
      avatarUrl: null,
      bio: "",
      links: [],
      pronouns: null,
      location: null,
      timezone: null,
      roles: ["user", "moderator"],
      status: "active",
      profileVersion: 1,
      followersCount: 4,
      followingCount: 1,
      social: null,
      createdAt: expect.any(String),
      updatedAt: expect.any(String),
    });
  });

  it("is planned once and then read by that plan", async () => {
    await using kit = await socialKit({ maxConnections: 1 });
    const { ann } = await people(kit.db, { ann: {} });
    await row(
      kit.db,
      sql`with made as (
        insert into users (id, username, email, display_name)
        select gen_random_uuid(), 'user' || n, 'user' || n || '@example.com', 'User' from generate_series(1, 5000) n returning id
      ) select count(*) from made`,
    );
    await row(kit.db, sql`analyze users`);

    for (let time = 0; time < 12; time += 1) await readMe(kit, { userId: ann.id });

    const plans = await row(
      kit.db,
      sql`select custom_plans as custom, generic_plans as kept from pg_prepared_statements where statement like 'select u.id, u.username, u.email,%'`,
    );
    expect(plans).toEqual({ custom: 5, kept: 7 });
  });

  it("says the standing of this moment, whatever was stored before", async () => {
    await using kit = await socialKit();
    const { ann } = await people(kit.db, { ann: {} });
    await row(
      kit.db,
      sql`update users set status = 'suspended', status_valid_until = now() - interval '1 second' where id = ${ann.id}::uuid`,
    );

    expect(await readMe(kit, { userId: ann.id })).toMatchObject({ status: "active" });
  });

  it("is not found when it is gone", async () => {
    await using kit = await socialKit();

    await expect(readMe(kit, { userId: "00000000-0000-7000-8000-000000000001" as never })).rejects.toMatchObject({
      code: "user.not_found",
    });
  });
});

describe("a change of one's profile", () => {
  it("changes what is given, grows the version and tells the public part whole", async () => {
    await using kit = await socialKit();
    const { ann } = await people(kit.db, { ann: {} });
    await updateProfile(kit, { actor: { userId: ann.id }, change: { bio: "I am Ann", avatarUrl: "https://example.com/a.png" } });

    const me = await updateProfile(kit, { actor: { userId: ann.id }, change: { displayName: "Ann", avatarUrl: null } });

    expect(me).toMatchObject({ displayName: "Ann", bio: "I am Ann", avatarUrl: null, profileVersion: 3 });
    expect(Date.parse(me.updatedAt)).toBeGreaterThan(Date.parse(me.createdAt));
    expect(await rows(kit.db, sql`select type, topic, subject, user_version, data from outbox order by user_version`)).toMatchObject([
      { user_version: 1, data: { displayName: "ann", bio: "I am Ann", avatarUrl: "https://example.com/a.png", profileVersion: 2 } },
      {
        type: "videamozi.user.profile_updated.v1",
        topic: "users.v1",
        subject: ann.id,
        user_version: 2,
        data: { userId: ann.id, username: "ann", displayName: "Ann", bio: "I am Ann", avatarUrl: null, profileVersion: 3 },
      },
    ]);
  });

  it("that changes nothing makes no version and no event", async () => {
    await using kit = await socialKit();
    const { ann } = await people(kit.db, { ann: {} });

    const me = await updateProfile(kit, { actor: { userId: ann.id }, change: { displayName: "ann", bio: "" } });
    await updateProfile(kit, { actor: { userId: ann.id }, change: {} });

    expect(me.profileVersion).toBe(1);
    expect(await rows(kit.db, sql`select id from outbox`)).toEqual([]);
  });

  it("is refused by the standing of this moment", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await restrict(kit.db, ann, { limited: ["edit_profile"] });
    await restrict(kit.db, bob, { status: "suspended" });

    await expect(updateProfile(kit, { actor: { userId: ann.id }, change: { bio: "x" } })).rejects.toMatchObject({
      code: "capability.limited",
    });
    await expect(updateProfile(kit, { actor: { userId: bob.id }, change: { bio: "x" } })).rejects.toMatchObject({
      code: "account.restricted",
    });
  });

  it("loses none of many at once, and their events come in the order of their versions", async () => {
    await using kit = await socialKit({ maxConnections: 10 });
    const { ann } = await people(kit.db, { ann: {} });
    const actor = { userId: ann.id };

    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        updateProfile(kit, { actor, change: index % 2 === 0 ? { bio: `bio ${index}` } : { displayName: `Ann ${index}` } }),
      ),
    );

    const told = await rows<{ version: number; displayName: string; bio: string }>(
      kit.db,
      sql`select (data->>'profileVersion')::int as version, data->>'displayName' as "displayName", data->>'bio' as bio from outbox order by user_version`,
    );
    expect(told.map(({ version }) => version)).toEqual(Array.from({ length: 20 }, (_, index) => index + 2));
    const me = await readMe(kit, actor);
    expect(told.at(-1)).toEqual({ version: me.profileVersion, displayName: me.displayName, bio: me.bio });
    expect(me.bio).toMatch(/^bio /);
    expect(me.displayName).toMatch(/^Ann /);
  });
});

describe("what people say of themselves beside name and bio", () => {
  const said = {
    links: [{ label: "My page", url: "https://ann.example.com/" }],
    pronouns: "she/her",
    location: "Szeged",
    timezone: "Europe/Budapest",
  };

  it("is changed key by key, told by the event, and shown in a profile to whom it is for", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    const actor = { userId: ann.id };
    await updateProfile(kit, { actor, change: said });
    const same = await updateProfile(kit, { actor, change: { links: [...said.links] } });
    expect(same.profileVersion).toBe(2);

    const me = await updateProfile(kit, { actor, change: { location: null } });

    expect(me).toMatchObject({ ...said, location: null, profileVersion: 3 });
    expect(await rows(kit.db, sql`select data->'details' as details from outbox order by user_version`)).toEqual([
      { details: said },
      { details: { ...said, location: null } },
    ]);
    expect(await readProfile(kit, { viewer: actorOf(bob), idOrUsername: "ann" })).toMatchObject({ ...said, location: null });
    await changePrivacy(kit, { actor, change: { profile: "followers" } });
    expect(Object.keys(await readProfile(kit, { viewer: actorOf(bob), idOrUsername: "ann" }))).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/^(links|pronouns|location|timezone)$/)]),
    );
    expect(await readMe(kit, actor)).toMatchObject({ ...said, location: null });
  });

  it("has a picture where pictures may be, and keeps one of before", async () => {
    await using kit = await socialKit();
    const { ann } = await people(kit.db, { ann: {} });
    const actor = { userId: ann.id };
    await updateProfile(kit, { actor, change: { avatarUrl: "https://old.example.com/a.png" } });
    const narrowed = { db: kit.db, config: { avatarHosts: ["media.example.com"] } };

    for (const host of ["old.example.com", "media.example.com.evil.example", "evil-media.example.com", "media.example.com:8443"]) {
      await expect(updateProfile(narrowed, { actor, change: { avatarUrl: `https://${host}/a.png` } })).rejects.toMatchObject({
        code: "input.invalid",
      });
    }
    expect(await updateProfile(narrowed, { actor, change: { bio: "x" } })).toMatchObject({ avatarUrl: "https://old.example.com/a.png" });
    expect(await updateProfile(narrowed, { actor, change: { avatarUrl: "https://MEDIA.example.com/b.png" } })).toMatchObject({ bio: "x" });
    expect(await updateProfile(narrowed, { actor, change: { avatarUrl: null } })).toMatchObject({ avatarUrl: null });
  });
});
