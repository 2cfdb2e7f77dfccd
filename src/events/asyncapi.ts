/** The AsyncAPI 3.0 document: events and sockets, written from the schemas that validate them. Takes plain data and knows neither kit. */

import type { z } from "zod";
import type { EventType } from "#src/contract/event-types";
import { neighbourEventTypes } from "#src/contract/neighbour-event-types";
import type { ProblemType } from "#src/kernel/problem";
import { jsonSchema, record, type Json } from "./asyncapi-json.ts";
import { eventMessages, receiveOperations, receivedMessages, topicChannels, topicOperations } from "./asyncapi-topics.ts";

/** A message a client may send, as `realtime/` declares it. */
interface ClientMessage {
  readonly name: string;
  readonly summary: string;
  readonly payload: z.ZodType;
  readonly answer: z.ZodType;
  readonly problems: readonly ProblemType[];
}

/** A message the server sends. */
interface ServerMessage {
  readonly name: string;
  readonly summary: string;
  readonly payload: z.ZodType;
}

export interface AsyncApiInput {
  readonly eventTypes: readonly EventType<unknown>[];
  readonly socketEvents: readonly ClientMessage[];
  readonly serverEvents: readonly ServerMessage[];
  readonly publicUrl: string;
  /** Of the package. */
  readonly version: string;
}

/** A whole document. Operations are seen from this service: it sends events and pushes, and receives what clients and other services send. */
export function asyncApiDocument(input: AsyncApiInput): Json {
  const received = neighbourEventTypes();
  return {
    asyncapi: "3.0.0",
    info: {
      title: "User Service",
      version: input.version,
      description:
        "Events of people, as CloudEvents 1.0 through Dapr pub/sub, and the Socket.IO events of connected clients. " +
        "Of one subject, events leave in order of `userversion`; repeats carry the same `id`. A jump in `userversion` means: read that user again.",
      license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
    },
    defaultContentType: "application/json",
    servers: servers(input.publicUrl),
    channels: { ...topicChannels([...input.eventTypes, ...received]), sockets: socketChannel(input) },
    operations: { ...topicOperations(input.eventTypes), ...receiveOperations(received), ...socketOperations(input) },
    components: {
      messages: { ...eventMessages(input.eventTypes), ...receivedMessages(received), ...socketMessages(input) },
      schemas: { Problem: problemSchema },
      securitySchemes: {
        accessToken: { type: "http", scheme: "bearer", bearerFormat: "JWT", description: "Sent as `auth: {token}` when connecting." },
      },
    },
  };
}

function servers(publicUrl: string): Json {
  const url = new URL(publicUrl);
  return {
    sockets: {
      host: url.host,
      pathname: "/socket.io",
      protocol: url.protocol === "https:" ? "wss" : "ws",
      description: "Socket.IO 4 on the public listener.",
      security: [{ $ref: "#/components/securitySchemes/accessToken" }],
    },
    pubsub: { host: "localhost:3500", protocol: "dapr", description: "The Dapr sidecar of whoever subscribes." },
  };
}

function socketChannel(input: AsyncApiInput): Json {
  const names = [
    ...input.serverEvents.map((event) => keyOf(event.name)),
    ...input.socketEvents.flatMap((event) => [keyOf(event.name), ackKeyOf(event.name)]),
  ];
  return {
    address: "/",
    title: "Sockets",
    description: "The main Socket.IO namespace.",
    servers: [{ $ref: "#/servers/sockets" }],
    messages: record(names, (name) => [name, { $ref: `#/components/messages/${name}` }]),
  };
}

function socketOperations(input: AsyncApiInput): Json {
  const channel = { $ref: "#/channels/sockets" };
  return {
    ...record(input.serverEvents, (event) => [
      `send.${keyOf(event.name)}`,
      { action: "send", summary: event.summary, channel, messages: [inSockets(keyOf(event.name))] },
    ]),
    ...record(input.socketEvents, (event) => [
      `receive.${keyOf(event.name)}`,
      {
        action: "receive",
        summary: event.summary,
        channel,
        messages: [inSockets(keyOf(event.name))],
        reply: { channel, messages: [inSockets(ackKeyOf(event.name))] },
      },
    ]),
  };
}

function socketMessages(input: AsyncApiInput): Json {
  return {
    ...record(input.serverEvents, (event) => [
      keyOf(event.name),
      { name: event.name, summary: event.summary, payload: jsonSchema(event.payload, "output") },
    ]),
    ...record(input.socketEvents, (event) => [
      keyOf(event.name),
      { name: event.name, summary: event.summary, payload: jsonSchema(event.payload, "input") },
    ]),
    ...record(input.socketEvents, (event) => [
      ackKeyOf(event.name),
      { name: `${event.name} (acknowledgement)`, summary: `Answers ${event.name}.`, payload: ackSchema(event) },
    ]),
  };
}

function ackSchema(event: ClientMessage): Json {
  const codes = event.problems.map((problem) => problem.code);
  return {
    oneOf: [
      { type: "object", required: ["ok"], properties: { ok: { const: true }, data: jsonSchema(event.answer, "output") } },
      {
        type: "object",
        required: ["ok", "error"],
        description: codes.length === 0 ? "A refusal of the gate, the throttle or the schema." : `Also refuses with: ${codes.join(", ")}.`,
        properties: { ok: { const: false }, error: { $ref: "#/components/schemas/Problem" } },
      },
    ],
  };
}

const problemSchema: Json = {
  type: "object",
  description: "RFC 9457, with a stable `code`.",
  required: ["type", "title", "status", "code"],
  properties: {
    type: { type: "string" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    code: { type: "string" },
    errors: {
      type: "array",
      items: { type: "object", required: ["path", "message"], properties: { path: { type: "string" }, message: { type: "string" } } },
    },
    traceId: { type: "string" },
  },
};

/** Keys of components may hold no colon. */
function keyOf(name: string): string {
  return name.replaceAll(":", ".");
}

function ackKeyOf(name: string): string {
  return `${keyOf(name)}.ack`;
}

function inSockets(key: string): Json {
  return { $ref: `#/channels/sockets/messages/${key}` };
}
