/** Who watches a profile is told what of it changed, and nothing newer than the moment from which they may not see it any more. */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { cloneDatabase } from "../kit/database.ts";
import { registerPeople, startApiProcess, type ApiProcess, type SignedIn } from "../kit/service.ts";
import type { SocketClient } from "../kit/socket-client.ts";
import { until } from "../kit/until.ts";

const stack = new AsyncDisposableStack();
let api: ApiProcess;
let people: Record<"owner" | "watcher", SignedIn>;
let sockets: Record<"owner" | "watcher", SocketClient>;

beforeAll(async () => {
  const database = stack.use(await cloneDatabase());
  api = stack.use(await startApiProcess({ database }));
  people = await registerPeople(api.http, ["owner", "watcher"]);
  sockets = {
    owner: stack.use(await api.socket(people.owner.accessToken)),
    watcher: stack.use(await api.socket(people.watcher.accessToken)),
  };
}, 60_000);
afterAll(() => stack.disposeAsync());

async function change(path: string, body: object, method = "PATCH"): Promise<void> {
  const { status } = await api.http.send(method, path, { token: people.owner.accessToken, body });
  if (status !== 200) throw new Error(`${path}: ${status}`);
}
const toldOf = (who: "owner" | "watcher", text: string): boolean =>
  sockets[who].told.some(({ name, payload }) => name === "user:profile-updated" && JSON.stringify(payload).includes(text));
const watch = (): Promise<unknown> => sockets.watcher.ask("presence:watch", { userIds: [people.owner.id] });

describe("a change of a profile", () => {
  it("is told whole, with what a profile shows besides its names", async () => {
    await watch();
    const details = {
      links: [{ label: "here", url: "https://example.com/" }],
      pronouns: "they",
      location: "Sopron",
      timezone: "Europe/Budapest",
    };
    await change("/api/users/me", { ...details, username: "another" });

    for (const who of ["owner", "watcher"] as const) {
      await until(() => toldOf(who, "Sopron"), { what: `the ${who} to be told` });
      expect(sockets[who].told.find(({ name }) => name === "user:profile-updated")?.payload).toMatchObject({
        userId: people.owner.id,
        username: "another",
        previousUsername: "owner",
        ...details,
      });
    }
    expect(JSON.stringify(sockets.watcher.told)).not.toContain(people.owner.email);
  });

  it("is not told to who was shut out a moment before, by a setting or a block", async () => {
    for (const turn of [1, 2, 3]) {
      await change("/api/users/me/privacy", { profile: "everyone" });
      await watch();
      await change("/api/users/me/privacy", { profile: "followers" });
      await change("/api/users/me", { location: `hidden by a setting ${turn}` });
      await until(() => toldOf("owner", `hidden by a setting ${turn}`), { what: "the owner to be told" });
    }
    await change("/api/users/me/privacy", { profile: "everyone" });
    await watch();
    await change(`/api/users/${people.watcher.id}/block`, {}, "POST");
    await change("/api/users/me", { location: "hidden by a block" });
    await until(() => toldOf("owner", "hidden by a block"), { what: "the owner to be told" });
    // What comes to the owner after it has gone through the same consumer, after the room was told.
    await change("/api/users/me", { location: "the last" });
    await until(() => toldOf("owner", "the last"), { what: "the owner to be told of the last" });
    expect(toldOf("watcher", "hidden")).toBe(false);
  });

  it("left no error in the log", () => {
    expect(api.errors()).toEqual([]);
  });
});
