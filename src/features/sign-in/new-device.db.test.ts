import { describe, expect, it } from "@jest/globals";
import { affected, row, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { lockSubject } from "#src/events/append";
import { setStatus } from "#src/features/accounts/public";
import type { Client } from "#src/kernel/actor";
import { testClient } from "../../../test/kit/sessions.ts";
import { signInKit, type SignInKit } from "../../../test/kit/sign-in.ts";
import { until } from "../../../test/kit/until.ts";
import { ensureFirstAdmin } from "./first-admin.ts";
import type { LoggedIn } from "./begin-or-ask.ts";
import { login } from "./login.ts";
import { register } from "./register.ts";

const FIREFOX: Client = {
  ...testClient,
  address: "192.0.2.7",
  addressKey: "192.0.2.7",
  userAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
};
const NEWER_FIREFOX: Client = { ...FIREFOX, address: "192.0.2.99", userAgent: FIREFOX.userAgent.replaceAll("145.0", "146.0") };
const CURL: Client = { ...FIREFOX, userAgent: "curl/8.5.0" };
const AWAY: Client = { ...FIREFOX, address: "198.51.100.1", addressKey: "198.51.100.1" };
const OVER_IPV6: Client = { ...FIREFOX, address: "2001:db8:1:2::7", addressKey: "2001:db8:1:2::/64" };
const OVER_IPV6_AGAIN: Client = { ...OVER_IPV6, address: "2001:db8:1:2:aaaa::9" };

/** Ann, who has registered with Firefox. */
async function withAnn(kit: SignInKit): Promise<{ readonly id: string }> {
  return (await register(kit, { email: "ann@example.com", username: "ann", password: "securepass", client: FIREFOX })).user;
}

function signIn(kit: SignInKit, client: Client): Promise<LoggedIn> {
  return login(kit, { emailOrUsername: "ann", password: "securepass", client });
}

function told(kit: SignInKit): Promise<object[]> {
  return rows(kit.db, sql`select data from notices where type = 'security.new_device' order by id`);
}

async function restrict(kit: SignInKit, userId: string): Promise<void> {
  await inTx(kit.db, async (tx) => {
    await affected(
      tx,
      sql`insert into restrictions (id, user_id, kind, reason_policy, reason) values (gen_random_uuid(), ${userId}::uuid, 'ban', '1', 'spam')`,
    );
    await setStatus(tx, userId);
  });
}

async function lift(kit: SignInKit, userId: string): Promise<void> {
  await inTx(kit.db, async (tx) => {
    await affected(tx, sql`delete from restrictions where user_id = ${userId}::uuid`);
    await setStatus(tx, userId);
  });
}

describe("signing in from a new device", () => {
  it("is told once, in the app and by mail: which device, from where, and which session", async () => {
    await using kit = await signInKit();
    await withAnn(kit);

    const { session } = await signIn(kit, CURL);
    await signIn(kit, CURL);

    expect(await told(kit)).toEqual([{ data: { sessionId: session.id, device: "curl", address: "192.0.2.7" } }]);
    const mails = await kit.mailTo("ann@example.com");
    expect(mails.filter(({ text }) => text.includes("curl. The address: 192.0.2.7."))).toHaveLength(1);
  });

  it("is told once also of twelve at the same moment", async () => {
    await using kit = await signInKit();
    await withAnn(kit);

    await Promise.all(Array.from({ length: 12 }, () => signIn(kit, CURL)));

    expect(await told(kit)).toHaveLength(1);
  });

  it("takes the account's version row before the account, as all do that tell of a change", async () => {
    await using kit = await signInKit();
    const { id } = await withAnn(kit);

    const { signingIn } = await inTx(kit.db, async (tx) => {
      await lockSubject(tx, id);
      const begun = signIn(kit, CURL);
      await until(() => row(kit.db, sql`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`));
      await affected(tx, sql`select 1 from users where id = ${id}::uuid for no key update nowait`);
      return { signingIn: begun };
    });

    await signingIn;
    expect(await told(kit)).toHaveLength(1);
  });

  it("is not what registering is, nor another version of the same program in the same network", async () => {
    await using kit = await signInKit();
    await withAnn(kit);
    await signIn(kit, FIREFOX);
    await signIn(kit, NEWER_FIREFOX);

    expect(await told(kit)).toEqual([]);
  });

  it("is the same program in another network, and over IPv6 a network is a /64", async () => {
    await using kit = await signInKit();
    await withAnn(kit);
    await signIn(kit, AWAY);
    await signIn(kit, OVER_IPV6);
    await signIn(kit, OVER_IPV6_AGAIN);

    expect(await told(kit)).toMatchObject([{ data: { address: AWAY.address } }, { data: { address: OVER_IPV6.address } }]);
  });

  it("is not the first sign-in of an account that was made without one, but any after 90 days away", async () => {
    await using kit = await signInKit();
    await ensureFirstAdmin(kit, { username: "ann", email: "ann@example.com", password: "securepass" });
    await signIn(kit, FIREFOX);
    expect(await told(kit)).toEqual([]);

    await affected(kit.db, sql`update sessions set last_seen_at = now() - interval '91 days'`);
    await signIn(kit, FIREFOX);
    expect(await told(kit)).toHaveLength(1);

    await affected(kit.db, sql`delete from sessions`);
    await affected(kit.db, sql`update users set created_at = now() - interval '200 days'`);
    await signIn(kit, FIREFOX);
    expect(await told(kit)).toHaveLength(2);
  });

  it("is neither told of nor made known by the short session of a restricted account", async () => {
    await using kit = await signInKit();
    const { id } = await withAnn(kit);
    await restrict(kit, id);
    await signIn(kit, CURL);
    expect(await told(kit)).toEqual([]);

    await lift(kit, id);
    await signIn(kit, CURL);
    expect(await told(kit)).toHaveLength(1);
  });
});
