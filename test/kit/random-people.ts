/** Random people with random ties, for tests that hold a list to `decide`: what there is, how it is stored, what the policy is asked with. */

import fc from "fast-check";
import type { Db } from "#src/db/pool";
import { affected, sql } from "#src/db/sql";
import type { Role } from "#src/kernel/actor";
import type { UserId } from "#src/kernel/ids";
import type { Relationship, Status, Target, Viewer } from "#src/policy/decide";
import { AUDIENCES, PRESETS, type Audience, type Privacy } from "#src/policy/privacy";

/** What `users` says, and what is true at this moment where that is past its time. */
interface Standing {
  readonly stored: Status;
  readonly now: Status;
  readonly isStale: boolean;
}

const standings: Standing[] = [
  { stored: "active", now: "active", isStale: false },
  { stored: "suspended", now: "suspended", isStale: false },
  { stored: "banned", now: "banned", isStale: false },
  { stored: "deactivated", now: "deactivated", isStale: false },
  { stored: "erased", now: "erased", isStale: false },
  { stored: "suspended", now: "active", isStale: true },
  { stored: "active", now: "suspended", isStale: true },
  { stored: "active", now: "banned", isStale: true },
];

interface Someone {
  readonly role: Role;
  readonly standing: Standing;
  readonly isFound: boolean;
  /** Null where they never set anything. */
  readonly privacy: Privacy | null;
}

type Place = readonly [number, number];

/** People by their place, blocks and edges between places. */
export interface Crowd {
  readonly people: readonly Someone[];
  readonly blocks: readonly Place[];
  readonly edges: readonly { readonly between: Place; readonly state: "requested" | "accepted" | "gone" }[];
}

export const SIZE = 5;

const audience = fc.constantFrom<Audience>(...AUDIENCES);
const privacy: fc.Arbitrary<Privacy> = fc.record({
  profile: audience,
  email: audience,
  followersList: audience,
  followingList: audience,
  lastSeen: audience,
  typing: audience,
  discoverable: audience,
  messages: audience,
  requireFollowApproval: fc.boolean(),
});
const active = standings[0] as Standing;
const someone: fc.Arbitrary<Someone> = fc.record({
  role: fc.constantFrom<Role>("user", "user", "user", "moderator", "admin"),
  standing: fc.constantFrom(active, active, active, active, ...standings),
  isFound: fc.constantFrom(true, true, false),
  privacy: fc.option(privacy, { freq: 3 }),
});
const place = fc.nat(SIZE - 1);
const between: fc.Arbitrary<Place> = fc.tuple(place, place).filter(([one, other]) => one !== other);

export const crowd: fc.Arbitrary<Crowd> = fc.record({
  people: fc.array(someone, { minLength: SIZE, maxLength: SIZE }),
  blocks: fc.uniqueArray(between, { maxLength: 4, selector: String }),
  edges: fc.uniqueArray(fc.record({ between, state: fc.constantFrom("requested", "accepted", "accepted", "gone") }), {
    maxLength: 12,
    selector: ({ between: pair }) => String(pair),
  }),
});

/** Writes them. Usernames are the tag and the place. */
export async function storeCrowd(db: Db, { people, blocks, edges }: Crowd, ids: readonly string[], tag: string): Promise<void> {
  await affected(
    db,
    sql`insert into users (id, username, email, display_name, roles, status, status_valid_until, limited)
        select id, ${tag} || n - 1, id::text || '@example.com', 'p', array[role], stored,
          case when stale then now() - interval '1 minute' end, case when found then '{}' else '{be_found}'::text[] end
        from unnest(${ids}::uuid[], ${people.map((one) => one.role)}::text[], ${people.map((one) => one.standing.stored)}::text[], ${people.map((one) => one.standing.isStale)}::boolean[],
          ${people.map((one) => one.isFound || one.standing.isStale)}::boolean[]) with ordinality as given (id, role, stored, stale, found, n)`,
  );
  const begun = ids.filter((_, index) => people[index]?.standing.isStale === true && people[index]?.standing.now !== "active");
  await affected(
    db,
    sql`insert into restrictions (id, user_id, kind, reason_policy, reason, starts_at, expires_at)
        select gen_random_uuid(), id, kind, '1', 'spam', now() - interval '1 hour', now() + interval '1 hour'
        from unnest(${begun}::uuid[], ${begun.map((id) => (people[ids.indexOf(id)]?.standing.now === "banned" ? "ban" : "suspend"))}::text[]) as given (id, kind)`,
  );
  // Somebody stale who is not to be found has that from a restriction, like everything else that is true now.
  const unlisted = ids.filter((_, index) => people[index]?.standing.isStale === true && people[index]?.isFound === false);
  await affected(
    db,
    sql`insert into restrictions (id, user_id, kind, capabilities, reason_policy, reason)
        select gen_random_uuid(), id, 'limit', '{be_found}', '1', 'spam' from unnest(${unlisted}::uuid[]) as given (id)`,
  );
  await storeTies(db, { people, blocks, edges }, ids);
}

async function storeTies(db: Db, { people, blocks, edges }: Crowd, ids: readonly string[]): Promise<void> {
  await affected(
    db,
    sql`insert into blocks (blocker_id, blocked_id)
        select * from unnest(${blocks.map(([one]) => ids[one])}::uuid[], ${blocks.map(([, other]) => ids[other])}::uuid[])`,
  );
  await affected(
    db,
    sql`insert into follows (follower_id, followee_id, state)
        select * from unnest(${edges.map((edge) => ids[edge.between[0]])}::uuid[], ${edges.map((edge) => ids[edge.between[1]])}::uuid[],
          ${edges.map(({ state }) => state)}::text[])`,
  );
  const set = people.flatMap((one, index) => (one.privacy === null ? [] : [{ ...one.privacy, userId: ids[index] }]));
  await affected(
    db,
    sql`insert into privacy_settings
          (user_id, profile, email, followers_list, following_list, last_seen, typing, discoverable, messages, require_follow_approval)
        select "userId", profile, email, "followersList", "followingList", "lastSeen", typing, discoverable, messages, "requireFollowApproval"
        from jsonb_to_recordset(${JSON.stringify(set)}::jsonb) as given ("userId" uuid, profile text, email text, "followersList" text,
          "followingList" text, "lastSeen" text, typing text, discoverable text, messages text, "requireFollowApproval" boolean)`,
  );
}

/** Who asks, as the gate would have admitted them. */
export function viewerAt({ people }: Crowd, ids: readonly string[], at: number): Viewer {
  return { userId: ids[at] as UserId, role: people[at]?.role ?? "user", restricted: false, limited: new Set() };
}

/** Whom it is about. */
export function targetAt({ people }: Crowd, ids: readonly string[], at: number): Target {
  const person = people[at];
  if (person === undefined) throw new Error("nobody is there");
  return {
    id: ids[at] ?? "",
    status: person.standing.now,
    limited: person.isFound ? [] : ["be_found"],
    privacy: person.privacy ?? PRESETS.open,
    role: person.role,
  };
}

/** What is between a viewer and a target. */
export function relationOf({ blocks, edges }: Crowd, from: number, to: number): Relationship {
  const blocking = blocks.some(([one, other]) => one === from && other === to);
  return {
    blocking,
    blocked: blocking || blocks.some(([one, other]) => one === to && other === from),
    follows: edges.some(({ between: [one, other], state }) => one === from && other === to && state === "accepted"),
  };
}
