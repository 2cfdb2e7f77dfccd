import { describe, expect, it } from "@jest/globals";
import { z } from "zod";
import { eventTypes } from "#src/contract/event-types";
import { neighbourEventTypes } from "#src/contract/neighbour-event-types";
import type { ProblemType } from "#src/kernel/problem";
import { asyncApiDocument } from "./asyncapi.ts";

type Node = { readonly [key: string]: Node } & { readonly $ref?: string };

const tooMany: ProblemType = { code: "watch.too_many", status: 400, title: "Too many" };

const document = asyncApiDocument({
  eventTypes: eventTypes(),
  socketEvents: [
    {
      name: "presence:watch",
      summary: "Follows the presence of others.",
      payload: z.strictObject({ userIds: z.array(z.uuid()).max(500) }),
      answer: z.object({ watching: z.int() }),
      problems: [tooMany],
    },
  ],
  serverEvents: [
    { name: "user:status", summary: "Someone came or went.", payload: z.object({ userId: z.uuid(), lastSeenAt: z.iso.datetime() }) },
  ],
  publicUrl: "https://users.example.com/base",
  version: "1.2.3",
}) as unknown as Node;

function at(pointer: string): Node | undefined {
  return pointer
    .replace(/^#\//, "")
    .split("/")
    .reduce<Node | undefined>((node, key) => node?.[key], document);
}

function refs(node: unknown): string[] {
  if (typeof node !== "object" || node === null) return [];
  return Object.entries(node).flatMap(([key, value]) => (key === "$ref" ? [String(value)] : refs(value)));
}

describe("the AsyncAPI document", () => {
  it("is of version 3.0.0 and says what and where this is", () => {
    expect(document).toMatchObject({
      asyncapi: "3.0.0",
      info: { title: "User Service", version: "1.2.3" },
      servers: { sockets: { host: "users.example.com", protocol: "wss" } },
    });
  });

  it("points nowhere that does not exist", () => {
    const all = refs(document);
    expect(all.length).toBeGreaterThan(30);
    expect(all.filter((pointer) => at(pointer) === undefined)).toEqual([]);
  });

  it("has keys that the specification allows", () => {
    for (const part of ["channels", "operations", "components/messages", "components/schemas"]) {
      expect(Object.keys(at(part) ?? {}).filter((key) => !/^[A-Za-z0-9._-]+$/.test(key))).toEqual([]);
    }
  });

  it.each(eventTypes().map((type) => [type.type, type] as const))("tells of the event %s: topic, operation and schema", (name, type) => {
    expect(at(`channels/${type.topic}/messages`)).toHaveProperty([name]);
    expect(at(`operations/publish.${type.topic}`)?.["messages"]).toContainEqual({ $ref: `#/channels/${type.topic}/messages/${name}` });
    const payload = at(`components/messages/${name}/payload/properties`);
    expect(payload?.["type"]).toEqual({ const: name });
    expect(payload?.["data"]).toHaveProperty("properties");
  });

  it("tells of what other services may send: topic, operation, schema, and who may send it", () => {
    expect(at("operations/receive.social.v1")).toMatchObject({
      action: "receive",
      channel: { $ref: "#/channels/social.v1" },
      messages: [{ $ref: "#/channels/social.v1/messages/social.stats.updated.v1" }],
    });
    expect(document["operations"]).not.toHaveProperty(["publish.social.v1"]);
    expect(at("channels/social.v1")).toMatchObject({ address: "social.v1", description: expect.any(String) });
    expect(at("components/messages/social.stats.updated.v1/payload")).toMatchObject({
      required: ["specversion", "id", "source", "type", "data"],
      properties: {
        source: { enum: ["urn:videamozi:social-service", "social-service"] },
        type: { const: "social.stats.updated.v1" },
        data: {
          type: "object",
          required: ["userId", "postsCount"],
          properties: { postsCount: { type: "integer", minimum: 0 }, reactionsCount: {}, version: {} },
        },
      },
    });
    // Fields we do not know are ignored, and the document must not say otherwise.
    expect(at("components/messages/social.stats.updated.v1/payload/properties/data")).not.toHaveProperty("additionalProperties");
    for (const type of neighbourEventTypes()) expect(at(`channels/${type.topic}/messages`)).toHaveProperty([type.type]);
  });

  it("describes every topic in words", () => {
    for (const type of [...eventTypes(), ...neighbourEventTypes()])
      expect(at(`channels/${type.topic}`)?.["description"]).toEqual(expect.any(String));
  });

  it("uses each message it defines, in a channel and in an operation", () => {
    const inChannels = new Set(refs(document["channels"]));
    const inOperations = new Set(refs(document["operations"]).map((pointer) => at(pointer)?.$ref));
    for (const name of Object.keys(at("components/messages") ?? {})) {
      expect(inChannels).toContain(`#/components/messages/${name}`);
      expect(inOperations).toContain(`#/components/messages/${name}`);
    }
  });

  it("tells of what clients send, what is answered and what is refused", () => {
    expect(at("operations/receive.presence.watch")).toMatchObject({
      action: "receive",
      messages: [{ $ref: "#/channels/sockets/messages/presence.watch" }],
      reply: { messages: [{ $ref: "#/channels/sockets/messages/presence.watch.ack" }] },
    });
    expect(at("components/messages/presence.watch")).toMatchObject({
      name: "presence:watch",
      payload: { additionalProperties: false, properties: { userIds: { type: "array", maxItems: 500 } } },
    });
    expect(JSON.stringify(at("components/messages/presence.watch.ack"))).toContain("watch.too_many");
  });

  it("tells of what the server sends", () => {
    expect(at("operations/send.user.status")).toMatchObject({ action: "send" });
    expect(at("components/messages/user.status")).toMatchObject({ name: "user:status", payload: { required: ["userId", "lastSeenAt"] } });
  });

  it("is plain JSON", () => {
    expect(JSON.parse(JSON.stringify(document))).toEqual(document);
  });
});
