import { describe, expect, it } from "@jest/globals";
import type { Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { systemClock } from "#src/kernel/clock";
import { people } from "../../../test/kit/people.ts";
import { codeOf } from "../../../test/kit/outcome.ts";
import { actorOf, restrict, socialKit, type SocialKit } from "../../../test/kit/social.ts";
import { changePrivacy } from "#src/features/profiles/privacy";
import { readProfile } from "#src/features/profiles/people";
import { block } from "./block.ts";
import { countsOf } from "./counts.sql.ts";
import { follow, unfollow } from "./follow.ts";
import { mute } from "./mute.ts";
import { noteAccepted, noteFollowed, noteRequest } from "./note-requests.ts";
import { listRequests } from "./own-lists.ts";
import { acceptRequest, rejectRequest, removeFollower } from "./requests.ts";

interface Someone {
  readonly id: string;
}

const pairOf = (actor: Someone, other: Someone): { actorId: string; otherId: string } => ({ actorId: actor.id, otherId: other.id });
const edgeOf = (follower: Someone, followee: Someone): { followerId: string; followeeId: string } => ({
  followerId: follower.id,
  followeeId: followee.id,
});
const wantToBeAsked = (kit: SocialKit, person: Someone, requireFollowApproval = true): Promise<unknown> =>
  changePrivacy(kit, { actor: { userId: person.id as never }, change: { requireFollowApproval } });
const followers = async (db: Db, person: Someone): Promise<number | undefined> =>
  (await countsOf(db, [person.id])).get(person.id)?.followersCount;
const noticesOf = async (db: Db, person: Someone): Promise<unknown[]> =>
  (
    await rows<{ type: string; user: string }>(
      db,
      sql`select type, data->>'userId' as user from notices where user_id = ${person.id}::uuid order by id`,
    )
  ).map(({ type, user }) => [type, user]);
const whole = { limit: 10, cursor: undefined };

describe("the notice of a follow", () => {
  it("is told once of each follower, while they follow, and not of whom one muted, blocked or said yes to", async () => {
    await using kit = await socialKit();
    const { ann, bob, cat, dan } = await people(kit.db, { ann: {}, bob: {}, cat: {}, dan: {} });
    const note = (follower: Someone): Promise<unknown> => inTx(kit.db, (tx) => noteFollowed(tx, edgeOf(follower, bob)));
    await note(ann);
    expect(await noticesOf(kit.db, bob)).toEqual([]);

    for (let time = 0; time < 2; time += 1) {
      await follow(kit, edgeOf(ann, bob));
      await note(ann);
      await unfollow(kit, edgeOf(ann, bob));
    }
    await follow(kit, edgeOf(cat, bob));
    await mute({ ...kit, clock: systemClock }, pairOf(bob, cat), { until: null, notifications: true });
    await note(cat);
    expect(await noticesOf(kit.db, bob)).toEqual([["follow.started", ann.id]]);

    await wantToBeAsked(kit, bob);
    await follow(kit, edgeOf(dan, bob));
    await acceptRequest(kit, pairOf(bob, dan));
    await note(dan);
    expect(await noticesOf(kit.db, bob)).toEqual([["follow.started", ann.id]]);
    await block(kit, pairOf(bob, ann));
    expect(await noticesOf(kit.db, bob)).toEqual([]);
  });

  it("is not told of more than a hundred that wait to be read", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await affected(
      kit.db,
      sql`insert into notices (id, user_id, type, data)
          select gen_random_uuid(), ${bob.id}::uuid, 'follow.started', jsonb_build_object('userId', gen_random_uuid()) from generate_series(1, 100)`,
    );
    await follow(kit, edgeOf(ann, bob));
    await inTx(kit.db, (tx) => noteFollowed(tx, edgeOf(ann, bob)));
    expect(await noticesOf(kit.db, bob)).toHaveLength(100);

    await affected(kit.db, sql`update notices set read_at = now()`);
    await inTx(kit.db, (tx) => noteFollowed(tx, edgeOf(ann, bob)));
    expect(await noticesOf(kit.db, bob)).toHaveLength(101);
  });
});

describe("a request to follow", () => {
  it("waits for a yes and is no follow before it: no counter, no sight, no public event", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await wantToBeAsked(kit, bob);
    await changePrivacy(kit, { actor: { userId: bob.id }, change: { profile: "followers" } });

    expect(await follow(kit, edgeOf(ann, bob))).toBe("requested");
    expect(await follow(kit, edgeOf(ann, bob))).toBe("requested");

    expect(await followers(kit.db, bob)).toBe(0);
    expect(await readProfile(kit, { viewer: actorOf(ann), idOrUsername: "bob" })).toMatchObject({
      status: "private",
      isFollowing: false,
      followRequested: true,
    });
    expect(await rows(kit.db, sql`select topic, type from outbox where subject = ${ann.id}::uuid`)).toEqual([
      { topic: "users.private.v1", type: "videamozi.user.follow_requested.v1" },
    ]);
    expect((await listRequests(kit, { viewer: actorOf(bob), ...whole })).data).toMatchObject([{ id: ann.id }]);
  });

  it("becomes a follow by the yes, with its event and counters, once", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await wantToBeAsked(kit, bob);
    await follow(kit, edgeOf(ann, bob));

    expect(await acceptRequest(kit, pairOf(bob, ann))).toBe("accepted");
    expect(await acceptRequest(kit, pairOf(bob, ann))).toBe("accepted");

    expect(await followers(kit.db, bob)).toBe(1);
    expect(
      await rows(
        kit.db,
        sql`select type, data->>'edgeVersion' as v from outbox where subject = ${ann.id}::uuid order by topic desc, user_version`,
      ),
    ).toEqual([
      { type: "videamozi.user.followed.v1", v: "2" },
      { type: "videamozi.user.follow_requested.v1", v: "1" },
      { type: "videamozi.user.follow_accepted.v1", v: "2" },
    ]);
  });

  it("is gone by a no, by taking it back, by removing the follower; and may be made again", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await wantToBeAsked(kit, bob);
    const ends = [
      () => rejectRequest(kit, pairOf(bob, ann)),
      () => unfollow(kit, edgeOf(ann, bob)),
      () => removeFollower(kit, pairOf(bob, ann)),
    ];
    for (const end of ends) {
      expect(await follow(kit, edgeOf(ann, bob))).toBe("requested");
      expect(await end()).toBe("gone");
      expect((await listRequests(kit, { viewer: actorOf(bob), ...whole })).data).toEqual([]);
      expect(await codeOf(acceptRequest(kit, pairOf(bob, ann)))).toBe("follow_request.not_found");
      expect(await codeOf(rejectRequest(kit, pairOf(bob, ann)))).toBe("follow_request.not_found");
    }
    expect(await row(kit.db, sql`select count(*) as n from count_deltas`)).toEqual({ n: 0 });
    expect(await rows(kit.db, sql`select data->>'how' as how from outbox where type like '%request_ended%' order by user_version`)).toEqual(
      [{ how: "rejected" }, { how: "cancelled" }, { how: "rejected" }],
    );
  });

  it("waits on when it need not any more, and is accepted by asking again", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await wantToBeAsked(kit, bob);
    await follow(kit, edgeOf(ann, bob));

    await wantToBeAsked(kit, bob, false);

    expect(await followers(kit.db, bob)).toBe(0);
    expect(await follow(kit, edgeOf(ann, bob))).toBe("accepted");
    expect(await followers(kit.db, bob)).toBe(1);
    await wantToBeAsked(kit, bob);
    expect(await follow(kit, edgeOf(ann, bob))).toBe("accepted");
  });

  it("of somebody restricted cannot be accepted and can be rejected", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await wantToBeAsked(kit, bob);
    await follow(kit, edgeOf(ann, bob));
    await restrict(kit.db, ann, { status: "banned" });

    expect(await codeOf(acceptRequest(kit, pairOf(bob, ann)))).toBe("user.unavailable");
    expect(await codeOf(rejectRequest(kit, pairOf(bob, ann)))).toBe("ok");
  });

  it("is answered by nobody else", async () => {
    await using kit = await socialKit();
    const { ann, bob, eve } = await people(kit.db, { ann: {}, bob: {}, eve: {} });
    await wantToBeAsked(kit, bob);
    await follow(kit, edgeOf(ann, bob));

    for (const answer of [acceptRequest, rejectRequest]) {
      expect(await codeOf(answer(kit, pairOf(eve, ann)))).toBe("follow_request.not_found");
      expect(await codeOf(answer(kit, pairOf(ann, bob)))).toBe("follow_request.not_found");
      expect(await codeOf(answer(kit, pairOf(ann, ann)))).toBe("follow.self");
    }
  });
});

describe("removing a follower", () => {
  it("ends their follow as an unfollow, and nothing else", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await follow(kit, edgeOf(ann, bob));
    await follow(kit, edgeOf(bob, ann));

    expect(await removeFollower(kit, pairOf(bob, ann))).toBe("gone");
    expect(await removeFollower(kit, pairOf(bob, ann))).toBe("gone");

    expect((await countsOf(kit.db, [bob.id])).get(bob.id)).toEqual({ followersCount: 0, followingCount: 1 });
    expect(await rows(kit.db, sql`select subject from outbox where type like '%unfollowed%'`)).toEqual([{ subject: ann.id }]);
    expect(await codeOf(removeFollower(kit, pairOf(bob, bob)))).toBe("follow.self");
  });
});

describe("notices of requests", () => {
  const note = (kit: SocialKit, edge: ReturnType<typeof edgeOf>): Promise<void> => inTx(kit.db, (tx) => noteRequest(tx, edge));

  it("are one for each who asks, without mail, and go with the request", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await wantToBeAsked(kit, bob);
    for (let time = 0; time < 3; time += 1) {
      await follow(kit, edgeOf(ann, bob));
      await note(kit, edgeOf(ann, bob));
      await note(kit, edgeOf(ann, bob));
      expect(await noticesOf(kit.db, bob)).toEqual([["follow.requested", ann.id]]);
      await unfollow(kit, edgeOf(ann, bob));
      expect(await noticesOf(kit.db, bob)).toEqual([]);
    }
    await note(kit, edgeOf(ann, bob));
    expect(await noticesOf(kit.db, bob)).toEqual([]);
    expect(await rows(kit.db, sql`select id from jobs`)).toEqual([]);
  });

  it("tell of the yes, and are taken away by a block, on both sides", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    for (const person of [ann, bob]) await wantToBeAsked(kit, person);
    await follow(kit, edgeOf(ann, bob));
    await acceptRequest(kit, pairOf(bob, ann));
    await inTx(kit.db, (tx) => noteAccepted(tx, edgeOf(ann, bob)));
    expect(await noticesOf(kit.db, ann)).toEqual([["follow.accepted", bob.id]]);

    await block(kit, pairOf(bob, ann));
    await note(kit, edgeOf(ann, bob));
    await inTx(kit.db, (tx) => noteAccepted(tx, edgeOf(ann, bob)));

    expect([await noticesOf(kit.db, ann), await noticesOf(kit.db, bob)]).toEqual([[], []]);
  });

  it("do not come from somebody muted with notices, and do from one muted without", async () => {
    await using kit = await socialKit();
    const { ann, bob, cat } = await people(kit.db, { ann: {}, bob: {}, cat: {} });
    await wantToBeAsked(kit, bob);
    const clock = { now: () => new Date(), monotonicMs: () => performance.now() };
    await mute({ ...kit, clock }, pairOf(bob, ann), { until: null, notifications: true });
    await mute({ ...kit, clock }, pairOf(bob, cat), { until: null, notifications: false });
    for (const one of [ann, cat]) {
      await follow(kit, edgeOf(one, bob));
      await note(kit, edgeOf(one, bob));
    }
    expect(await noticesOf(kit.db, bob)).toEqual([["follow.requested", cat.id]]);
  });
});
