/** What neighbours ask, through the sidecar listener itself: whoever may not ask is refused, and nothing they send is a 500. */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { createServer } from "#src/http/server";
import { createSidecarApp } from "#src/http/sidecar-app";
import { affected, sql } from "#src/db/sql";
import { systemClock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { Secret } from "#src/kernel/secret";
import { people, type Person } from "../../../test/kit/people.ts";
import { block, restrict, socialKit, type SocialKit } from "../../../test/kit/social.ts";
import { neighboursInternalRoutes } from "./neighbours.internal.routes.ts";

const BATCH = "/internal/users/batch";
const RELATIONSHIPS = "/internal/relationships";
const NOBODY = "019abc00-0000-7000-8000-000000000001";

interface Reply {
  readonly status: number;
  readonly body: {
    readonly code?: string;
    readonly data?: readonly Readonly<Record<string, unknown>>[];
    readonly errors?: readonly { readonly path: string }[];
  };
}

const stack = new AsyncDisposableStack();
let kit: SocialKit;
let port: number;
let who: Record<"ann" | "bob" | "cat" | "dan" | "eve" | "fay", Person>;
const security: Readonly<Record<string, unknown>>[] = [];

const quiet = (): void => {};
const log: Log = {
  debug: quiet,
  warn: quiet,
  error: quiet,
  info: (fields) => void (fields["securityEvent"] === true && security.push(fields)),
};

beforeAll(async () => {
  kit = stack.use(await socialKit());
  const app = createSidecarApp({
    appToken: new Secret("token"),
    events: { subscriptionDocument: () => [], deliveries: () => new Map() },
    routes: neighboursInternalRoutes,
    deps: kit,
    clock: systemClock,
    log,
    metrics: { httpRequest: quiet, unexpectedError: () => "fingerprint" },
    production: false,
  });
  const served = createServer(app.listener);
  stack.defer(() => served.drain(0));
  stack.defer(() => served.server.closeAllConnections());
  port = await served.listen(0, "127.0.0.1");
  who = await people(kit.db, { ann: {}, bob: { displayName: "Bob" }, cat: {}, dan: {}, eve: {}, fay: {} });
  await block(kit.db, who.cat, who.ann);
  await restrict(kit.db, who.dan, { status: "banned" });
  await restrict(kit.db, who.eve, { status: "erased" });
  await affected(
    kit.db,
    sql`insert into privacy_settings (user_id, profile, messages, typing) values (${who.fay.id}::uuid, 'followers', 'followers', 'nobody')`,
  );
});
afterAll(() => stack.disposeAsync());

async function ask(path: string, body: unknown, caller = "chat-service"): Promise<Reply> {
  const headers = { "dapr-api-token": "token", "dapr-caller-app-id": caller, "content-type": "application/json", connection: "close" };
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method: "POST", headers, body: text });
  return { status: response.status, body: (await response.json()) as Reply["body"] };
}

const idsOf = ({ body }: Reply): unknown => body.data?.map(({ id }) => id);

describe("many people for a neighbour", () => {
  it("are those who are there for a stranger, in the order asked, with nothing between them and anybody", async () => {
    const ids = [who.fay.id.toUpperCase(), who.bob.id, who.eve.id, NOBODY, who.dan.id, who.bob.id, who.cat.id];
    const reply = await ask(BATCH, { ids });

    expect([reply.status, idsOf(reply)]).toEqual([200, [who.fay.id, who.bob.id, who.dan.id, who.cat.id]]);
    expect(reply.body.data?.slice(0, 3)).toEqual([
      { id: who.fay.id, username: "fay", displayName: "fay", avatarUrl: null, status: "private" },
      {
        id: who.bob.id,
        username: "bob",
        displayName: "Bob",
        avatarUrl: null,
        bio: "",
        status: "active",
        profileVersion: 1,
        createdAt: expect.any(String),
        updatedAt: expect.any(String),
      },
      { id: who.dan.id, username: "dan", status: "unavailable" },
    ]);
  });

  it("are those whom the viewer sees, where one is named", async () => {
    const reply = await ask(BATCH, { ids: [who.cat.id, who.bob.id, who.ann.id], viewerId: who.ann.id.toUpperCase() });

    expect(idsOf(reply)).toEqual([who.bob.id, who.ann.id]);
    expect(reply.body.data?.[0]).toMatchObject({ isFollowing: false, followRequested: false, followsYou: false });
  });

  it("are nobody to a viewer who may see nobody", async () => {
    const outcome = async (viewerId: string): Promise<unknown> => {
      const { status, body } = await ask(BATCH, { ids: [who.bob.id], viewerId });
      return [status, body.code];
    };
    expect(await outcome(who.dan.id)).toEqual([403, "account.restricted"]);
    expect(await outcome(who.eve.id)).toEqual([404, "user.not_found"]);
    expect(await outcome(NOBODY)).toEqual([404, "user.not_found"]);
  });

  it("come with private fields to those apps alone whose scope has them, and then of those alone who are there", async () => {
    const ids = [who.bob.id, who.cat.id, who.eve.id];
    const fields = ["email", "locale"];
    const mailed = await ask(BATCH, { ids, fields }, "notification-service");
    expect(mailed.body.data?.map((one) => one["private"])).toEqual([
      { email: "bob@example.com", locale: "en" },
      { email: "cat@example.com", locale: "en" },
    ]);
    const seen = await ask(BATCH, { ids, fields, viewerId: who.ann.id }, "notification-service");
    expect(idsOf(seen)).toEqual([who.bob.id]);
    expect(JSON.stringify(seen.body)).not.toContain("cat@");
    const judged = await ask(BATCH, { ids: [who.dan.id], fields: ["standing", "roles"] }, "moderation-service");
    expect(judged.body.data).toEqual([
      { id: who.dan.id, username: "dan", status: "unavailable", private: { standing: { status: "banned", limited: [] }, roles: ["user"] } },
    ]);

    security.length = 0;
    for (const [caller, wanted] of [
      ["chat-service", ["email"]],
      ["social-service", ["email"]],
      ["moderation-service", ["email"]],
      ["moderation-service", ["roles", "locale"]],
      ["notification-service", ["standing"]],
    ] as const) {
      const { status, body } = await ask(BATCH, { ids, fields: wanted }, caller);
      expect([caller, status, body.code, body.data]).toEqual([caller, 403, "scope.refused", undefined]);
    }
    expect(security).toHaveLength(5);
    // Without asking nobody is given any.
    expect(JSON.stringify((await ask(BATCH, { ids }, "notification-service")).body)).not.toContain("@example.com");
  });
});

describe("what people may do to each other, for a neighbour", () => {
  it("is decided for each pair, in their order, and a block looks like nobody", async () => {
    const pair = (viewer: Person, target: Person): object => ({ viewerId: viewer.id, targetId: target.id });
    const { status, body } = await ask(RELATIONSHIPS, {
      pairs: [
        pair(who.ann, who.bob),
        pair(who.ann, who.cat),
        pair(who.cat, who.ann),
        { viewerId: who.ann.id, targetId: NOBODY },
        { viewerId: NOBODY, targetId: who.ann.id },
        pair(who.ann, who.fay),
        pair(who.ann, who.dan),
        pair(who.dan, who.ann),
        pair(who.ann, who.ann),
        pair(who.ann, who.bob),
      ],
    });
    const all = (decision: string): object => ({ view: decision, watch: decision, type: decision, message: decision });
    expect(status).toBe(200);
    expect(body.data?.map(({ may }) => may)).toEqual([
      all("allow"),
      all("hidden"),
      all("hidden"),
      all("hidden"),
      all("hidden"),
      { view: "allow", watch: "allow", type: "private", message: "private" },
      all("unavailable"),
      all("restricted"),
      { view: "allow", watch: "allow", type: "self", message: "self" },
      all("allow"),
    ]);
    expect(body.data?.[1]).toEqual({ viewerId: who.ann.id, targetId: who.cat.id, may: all("hidden") });
  });

  it("is told of the actions that were named, within what the app may ask", async () => {
    const pairs = [{ viewerId: who.ann.id, targetId: who.bob.id }];
    expect((await ask(RELATIONSHIPS, { pairs, actions: ["message", "message"] })).body.data?.[0]?.["may"]).toEqual({ message: "allow" });
    expect(await ask(RELATIONSHIPS, { pairs, actions: ["watch"] }, "moderation-service")).toMatchObject({
      status: 403,
      body: { code: "scope.refused" },
    });
  });

  it("costs one statement, for 500 pairs as for one", async () => {
    const pairs = Array.from({ length: 500 }, () => ({ viewerId: who.ann.id, targetId: who.bob.id }));
    expect(await kit.statements(async () => expect((await ask(RELATIONSHIPS, { pairs })).body.data).toHaveLength(500))).toBe(1);
  });
});

describe("whoever may not ask", () => {
  it.each(["stranger", "user-service-controller", "user-service", "constructor", "__proto__", "social-service,chat-service"])(
    "is refused: %s",
    async (caller) => {
      for (const [path, body] of [
        [BATCH, { ids: [who.bob.id] }],
        [RELATIONSHIPS, { pairs: [{ viewerId: who.ann.id, targetId: who.bob.id }] }],
      ] as const) {
        expect(await ask(path, body, caller)).toMatchObject({ status: 403, body: { code: "sidecar.caller_refused" } });
      }
    },
  );
});

describe("what is asked wrongly", () => {
  const many = (length: number): string[] => Array.from({ length }, () => NOBODY);
  it.each<[string, string, unknown, string]>([
    ["no body", BATCH, {}, "400 body.ids"],
    ["no ids", BATCH, { ids: [] }, "400 body.ids"],
    ["501 ids", BATCH, { ids: many(501) }, "400 body.ids"],
    ["10,000 ids", BATCH, { ids: many(10_000) }, "413"],
    ["what is no id", BATCH, { ids: ["ann", 1, null] }, "400 body.ids[0]"],
    ["SQL", BATCH, { ids: [`${NOBODY}'); drop table users; --`] }, "400 body.ids[0]"],
    ["a viewer that is none", BATCH, { ids: [NOBODY], viewerId: "me" }, "400 body.viewerId"],
    ["a viewer of null", BATCH, { ids: [NOBODY], viewerId: null }, "400 body.viewerId"],
    ["fields that are none", BATCH, { ids: [NOBODY], fields: ["password_hash"] }, "400 body.fields[0]"],
    ["a list for an object", BATCH, [NOBODY], "400 body"],
    ["what is no JSON", BATCH, "{", "400"],
    ["no pairs", RELATIONSHIPS, { pairs: [] }, "400 body.pairs"],
    ["501 pairs", RELATIONSHIPS, { pairs: many(501).map((id) => ({ viewerId: id, targetId: id })) }, "400 body.pairs"],
    ["10,000 pairs", RELATIONSHIPS, { pairs: many(10_000).map((id) => ({ viewerId: id, targetId: id })) }, "413"],
    ["half a pair", RELATIONSHIPS, { pairs: [{ viewerId: NOBODY }] }, "400 body.pairs[0].targetId"],
    [
      "an action of the policy that is not offered",
      RELATIONSHIPS,
      { pairs: [{ viewerId: NOBODY, targetId: NOBODY }], actions: ["edit_profile"] },
      "400 body.actions[0]",
    ],
  ])("is refused: %s", async (_what, path, body, refusal) => {
    const reply = await ask(path, body);
    const [status, where] = refusal.split(" ");
    expect(reply.status).toBe(Number(status));
    if (where !== undefined) expect(reply.body.errors?.map((error) => error.path)).toContain(where);
  });

  it("but for fields that nobody knows, which are ignored: versions overlap", async () => {
    expect(await ask(BATCH, { ids: [who.bob.id], tomorrow: true })).toMatchObject({ status: 200 });
  });
});
