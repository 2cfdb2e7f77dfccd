/** What people without an account see where PUBLIC_PROFILES is on, against a running process; and that whoever was blocked learns no more by signing out than must be. */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import type { Answer } from "../kit/http-client.ts";
import { onDatabase, registerPeople, startApiProcess, type ApiProcess, type SignedIn } from "../kit/service.ts";

const stack = new AsyncDisposableStack();
let database: TestDatabase;
let api: ApiProcess;
let people: Record<"open" | "half" | "secret" | "hiding" | "stalked" | "banned" | "ghost", SignedIn>;

const change = async (who: SignedIn, path: string, body: object): Promise<void> => {
  const { status } = await api.http.send("PATCH", path, { token: who.accessToken, body });
  if (status !== 200) throw new Error(`${path}: ${status}`);
};

beforeAll(async () => {
  database = stack.use(await cloneDatabase());
  api = stack.use(await startApiProcess({ database, env: { PUBLIC_PROFILES: "on", RATE_LIMITS: "on" } }));
  people = await registerPeople(api.http, ["open", "half", "secret", "hiding", "stalked", "banned", "ghost"]);
  const { open, half, secret, hiding, stalked, banned, ghost } = people;
  for (const one of Object.values(people)) {
    await change(one, "/api/users/me", { bio: "my bio", location: "Sopron", displayName: "Somebody" });
    await change(one, "/api/users/me/privacy", { email: "everyone" });
  }
  await change(open, "/api/users/me/privacy", { followersList: "followers" });
  await change(half, "/api/users/me/privacy", { preset: "friends" });
  await change(secret, "/api/users/me/privacy", { preset: "private" });
  await change(hiding, "/api/users/me/privacy", { discoverable: "followers" });
  await change(stalked, "/api/users/me", { username: "fled" });
  await onDatabase(database.adminUrl, "update users set status = 'banned' where id = $1", [banned.id]);
  await onDatabase(database.adminUrl, "update users set status = 'erased' where id = $1", [ghost.id]);
}, 60_000);
afterAll(() => stack.disposeAsync());

const visit = (who: string): Promise<Answer<Record<string, unknown>>> => api.http.send("GET", `/api/users/${who}`, {});

describe("people without an account", () => {
  it("see what is for everyone of an open profile, by name and id, never the address, and nobody may keep it", async () => {
    for (const key of [people.open.id, people.open.id.toUpperCase(), "open", "OPEN"]) {
      const { status, body, headers } = await visit(key);
      expect([key, status, headers["cache-control"]]).toEqual([key, 200, "no-store"]);
      expect(body).toMatchObject({
        username: "open",
        status: "active",
        bio: "my bio",
        location: "Sopron",
        email: null,
        followersCount: null,
        followingCount: 0,
        isFollowing: false,
        followRequested: false,
        followsYou: false,
      });
      expect(JSON.stringify(body)).not.toContain(people.open.email);
    }
    const { body } = await api.http.graphql(
      `{ user(username: "open") { id bio location email emailVerified followersCount followingCount isFollowing social { postsCount } } }`,
    );
    expect(body).toEqual({
      data: {
        user: {
          id: people.open.id,
          bio: "my bio",
          location: "Sopron",
          email: null,
          emailVerified: null,
          followersCount: null,
          followingCount: 0,
          isFollowing: false,
          social: null,
        },
      },
    });
  });

  it("see names and picture of whoever shows the profile to followers, and of a restricted account that it is there", async () => {
    expect(await visit("half")).toMatchObject({ status: 200 });
    expect(Object.keys((await visit("half")).body).sort()).toEqual([
      "avatarUrl",
      "displayName",
      "followRequested",
      "followsYou",
      "id",
      "isFollowing",
      "status",
      "username",
    ]);
    expect((await visit("banned")).body).toEqual({ id: people.banned.id, username: "banned", status: "unavailable" });
  });

  it("see nothing of whoever is not for everyone to find, has ended, or has left the name: as of a name nobody has", async () => {
    const none = await visit("nobodyatall");
    for (const key of ["secret", people.secret.id, "hiding", people.hiding.id, "ghost", people.ghost.id, "stalked"]) {
      const answer = await visit(key);
      const plain = ({ status, body }: typeof none): unknown => [status, { ...body, instance: undefined, traceId: undefined }];
      expect([key, plain(answer)]).toEqual([key, plain(none)]);
    }
    expect((await visit("fled")).body).toMatchObject({ username: "fled" });
    // With an account the old name leads there.
    expect((await api.http.get("/api/users/stalked", people.open.accessToken)).body).toMatchObject({
      username: "fled",
      movedFrom: "stalked",
    });
  });

  it("reach no list, no search, nobody's presence and no change", async () => {
    const { id } = people.open;
    for (const path of [`/api/users/${id}/followers`, `/api/users/${id}/following`, "/api/users/search?q=open", `/api/users?ids=${id}`]) {
      expect([path, (await api.http.send<{ code: string }>("GET", path, {})).body.code]).toEqual([path, "token.missing"]);
    }
    const { body } = await api.http.graphql(`{ user(username: "open") { id } searchUsers(query: "open") { data { id } } }`);
    expect(body.errors?.map(({ extensions }) => extensions.code)).toEqual(["token.missing"]);
  });

  it("are counted by their address, less generously than accounts, on REST and GraphQL together", async () => {
    const codes = new Set<number>();
    let { status, headers } = await visit("open");
    expect(headers["ratelimit-limit"]).toBe("60");
    for (let tries = 0; tries < 70 && status !== 429; tries += 1) {
      ({ status, headers } = await visit(`guess${tries}`));
      codes.add(status);
    }
    expect(codes).toEqual(new Set([404, 429]));
    expect(Number(headers["retry-after"])).toBeGreaterThan(0);
    const { body } = await api.http.graphql(`{ user(username: "open") { id } }`);
    expect(body.errors?.[0]?.extensions.code).toBe("rate.limited");
    // Accounts at the same address go on.
    expect((await api.http.get("/api/users/open", people.half.accessToken)).status).toBe(200);
  });

  it("left no error in the log", () => {
    expect(api.errors()).toEqual([]);
  });
});
