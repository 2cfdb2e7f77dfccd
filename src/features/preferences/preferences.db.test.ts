import { describe, expect, it } from "@jest/globals";
import { affected, row, sql } from "#src/db/sql";
import { people } from "../../../test/kit/people.ts";
import { socialKit } from "../../../test/kit/social.ts";
import { changePreferences, channelsFor, readPreferences } from "./preferences.ts";
import { preferencesChange } from "./preferences.schemas.ts";
import { DEFAULTS, NOTICE_KINDS } from "./versions.ts";

describe("preferences", () => {
  it("are the defaults until set; a change keeps what it leaves out, at every depth", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    const actor = { userId: ann.id };
    expect(await readPreferences(kit, actor)).toEqual({ language: "en", ...DEFAULTS });

    await changePreferences(kit, { actor, change: { theme: "dark", notifications: { follows: { push: false } } } });
    const changed = await changePreferences(kit, { actor, change: { language: "hu", notifications: { follows: { app: false } } } });

    expect(changed).toEqual({
      ...DEFAULTS,
      language: "hu",
      theme: "dark",
      notifications: { ...DEFAULTS.notifications, follows: { app: false, push: false } },
    });
    expect(await readPreferences(kit, actor)).toEqual(changed);
    expect(await row(kit.db, sql`select locale from users where id = ${ann.id}::uuid`)).toEqual({ locale: "hu" });
    expect(await readPreferences(kit, { userId: bob.id })).toEqual({ language: "en", ...DEFAULTS });
  });

  it("lose none of many changes at once", async () => {
    await using kit = await socialKit({ maxConnections: 10 });
    const { ann } = await people(kit.db, { ann: {} });
    const actor = { userId: ann.id };

    await Promise.all([
      ...NOTICE_KINDS.flatMap((kind) =>
        (["app", "push"] as const).map((channel) =>
          changePreferences(kit, { actor, change: { notifications: { [kind]: { [channel]: false } } } }),
        ),
      ),
      changePreferences(kit, { actor, change: { reducedMotion: true } }),
    ]);

    expect(await readPreferences(kit, actor)).toMatchObject({
      reducedMotion: true,
      notifications: Object.fromEntries(NOTICE_KINDS.map((kind) => [kind, { app: false, push: false }])),
    });
  });

  it("of a newer version or damaged are read as far as they are understood", async () => {
    await using kit = await socialKit();
    const { ann } = await people(kit.db, { ann: {} });
    const data = { theme: "sepia", reducedMotion: true, notifications: { follows: { app: false, push: "yes", mail: true } }, more: 1 };
    await affected(
      kit.db,
      sql`insert into user_preferences (user_id, version, data) values (${ann.id}::uuid, 99, ${JSON.stringify(data)}::jsonb)`,
    );

    expect(await readPreferences(kit, { userId: ann.id })).toMatchObject({ theme: "system", reducedMotion: true });
    expect(await channelsFor(kit.db, ann.id, "follows")).toEqual({ app: false, push: true });
  });

  it.each<object>([
    { colour: "red" },
    { theme: "sepia" },
    { language: "xx" },
    { notifications: { security: { app: false } } },
    { notifications: { follows: { mail: true } } },
    { notifications: { follows: false } },
    { __proto__: null, constructor: {} },
  ])("refuse %j", (change) => {
    expect(preferencesChange.safeParse(change).success).toBe(false);
  });
});
