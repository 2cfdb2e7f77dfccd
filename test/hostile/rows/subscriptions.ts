import { once } from "node:events";
import { expect } from "@jest/globals";
import { RawSubscriber } from "../../kit/subscriber.ts";
import { until } from "../../kit/until.ts";
import { rowsOf, type Row } from "../row.ts";
import type { Target } from "../target.ts";

const subscribe = (query: string): object => ({ id: "1", type: "subscribe", payload: { query } });
const deep = `subscription { notification ${"{ data ".repeat(12)} ${"}".repeat(12)} }`;

/** Refused with a code; the connection stays. */
const DOCUMENTS: readonly (readonly [name: string, query: string, code: string, advisory?: Row["advisory"]])[] = [
  ["nested twelve deep", deep, "graphql.too_deep", "CVE-2026-30241"],
  ["of 301 fields", `subscription { notification { ${"id ".repeat(301)} } }`, "graphql.too_many_fields"],
  ["of 40,000 characters", `subscription { notification { id } } #${"x".repeat(40_000)}`, "graphql.document_too_long"],
  ["of two root fields", `subscription { a: notification { id } b: notification { id } }`, "graphql.document_invalid"],
  ["whose root field is skipped", "subscription { notification @skip(if: true) { id } }", "graphql.document_invalid"],
  ["that is a query", "{ me { email } }", "graphql.subscriptions_only"],
  ["that is a mutation", `mutation { updateProfile(input: { bio: "x" }) { id } }`, "graphql.subscriptions_only"],
  ["for 501 people", `subscription { userStatus(userIds: [${`"x", `.repeat(501)}]) { seq } }`, "input.invalid"],
  ["for nobody", "subscription { userStatus(userIds: []) { seq } }", "input.invalid"],
];

/** The connection is closed, and nothing else. */
const FRAMES: readonly (readonly [name: string, send: (client: RawSubscriber) => void, closed: RegExp])[] = [
  ["no JSON", ({ socket }) => socket.send("{{{{"), /^4400/],
  ["binary", ({ socket }) => socket.send(Buffer.from([1, 2, 3])), /^4400/],
  ["70 KB", ({ socket }) => socket.send("x".repeat(70_000)), /^1009/],
  ["no UTF-8", ({ socket }) => socket.send(Buffer.from([0xff]), { binary: false }), /^1007/],
  ["a message that is the server's", (client) => client.send({ id: "1", type: "next", payload: {} }), /^4400/],
  ["a second introduction", (client) => client.send({ type: "connection_init" }), /^4429/],
  [
    "an id that is in use",
    (client) => {
      client.send(subscribe("subscription { notification { id } }"));
      client.send(subscribe("subscription { notification { id } }"));
    },
    /^4409/,
  ],
];

async function document({ api, newcomer }: Target, [, query, code]: (typeof DOCUMENTS)[number]): Promise<void> {
  using client = await RawSubscriber.open(api.url, (await newcomer()).accessToken);
  client.send(subscribe(query));
  expect(await until(() => client.texts[1])).toContain(`"code":"${code}"`);
  client.send({ type: "ping" });
  await until(() => client.texts.includes(`{"type":"pong"}`));
}

async function frame({ api, newcomer }: Target, [, send, closed]: (typeof FRAMES)[number]): Promise<void> {
  using client = await RawSubscriber.open(api.url, (await newcomer()).accessToken);
  send(client);
  expect(await client.closes()).toMatch(closed);
}

export const subscriptionRows: readonly Row[] = [
  ...DOCUMENTS.map((one): Row => ({
    area: "subscription",
    name: `a document ${one[0]}`,
    ...(one[3] === undefined ? {} : { advisory: one[3] }),
    attack: (target) => document(target, one),
  })),
  ...FRAMES.map((one): Row => ({ area: "subscription", name: `by hand: ${one[0]}`, attack: (target) => frame(target, one) })),
  ...rowsOf("subscription", [
    [
      "a page of another site, with the victim's cookies",
      async ({ api, bystander }) => {
        const headers = { origin: "https://evil.example.com", cookie: `__Host-refresh=${bystander.refreshToken}` };
        const page = new RawSubscriber(api.url, "graphql-transport-ws", headers);
        const [, response] = (await once(page.socket, "unexpected-response")) as [unknown, { statusCode: number }];
        expect(response.statusCode).toBe(403);
        using other = new RawSubscriber(api.url, "graphql-transport-ws", { cookie: headers.cookie });
        await once(other.socket, "open");
        other.send({ type: "connection_init" });
        expect(await other.closes()).toBe("4401 token.missing");
      },
    ],
    [
      "before it was let in",
      async ({ api }) => {
        using client = await RawSubscriber.open(api.url);
        client.send(subscribe("subscription { notification { id } }"));
        expect(await client.closes()).toBe("4401 Unauthorized");
      },
    ],
    [
      "a thousand at once",
      async ({ api, newcomer }) => {
        using client = await RawSubscriber.open(api.url, (await newcomer()).accessToken);
        for (let id = 0; id < 1_000; id += 1) client.send({ ...subscribe("subscription { notification { id } }"), id: String(id) });
        const refused = (): string[] => client.texts.filter((text) => text.includes("graphql.too_many_subscriptions"));
        await until(() => refused().length === 980, { withinMs: 30_000 });
        client.send({ type: "ping" });
        await until(() => client.texts.includes(`{"type":"pong"}`));
        expect(client.texts).toHaveLength(1 + 980 + 1);
      },
    ],
  ]),
];
