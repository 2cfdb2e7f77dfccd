/** What the AsyncAPI document says of topics: ours, and those of other services that we listen to. */

import type { EventType } from "#src/contract/event-types";
import type { NeighbourEventType } from "#src/contract/neighbour-event-types";
import { jsonSchema, record, type Json } from "./asyncapi-json.ts";
import { EVENT_SOURCE } from "./cloud-event.ts";

const TOPICS: Readonly<Record<string, string>> = {
  "users.v1": "For every app.",
  "users.private.v1": "What other people must not learn; subscription scopes decide who may read it.",
  "social.v1": "What the social service says; this service listens. What it cannot take ends on social.v1.dead.",
};

/** What a topic's documents need of an event's type, ours or a neighbour's. */
type TopicMessage = Pick<EventType<unknown>, "type" | "summary"> & { readonly topic: string };

/** A channel for each topic. */
export function topicChannels(types: readonly TopicMessage[]): Json {
  return record(topicsOf(types), (topic) => [
    topic,
    {
      address: topic,
      description: TOPICS[topic],
      servers: [{ $ref: "#/servers/pubsub" }],
      messages: record(ofTopic(types, topic), (type) => [type.type, { $ref: `#/components/messages/${type.type}` }]),
    },
  ]);
}

/** What we publish. */
export function topicOperations(types: readonly TopicMessage[]): Json {
  return record(topicsOf(types), (topic) => [
    `publish.${topic}`,
    { action: "send", summary: `Publishes to ${topic}.`, ...onTopic(types, topic) },
  ]);
}

/** What we listen to. */
export function receiveOperations(types: readonly TopicMessage[]): Json {
  return record(topicsOf(types), (topic) => [
    `receive.${topic}`,
    { action: "receive", summary: `Listens to ${topic}; types and fields it does not know are ignored.`, ...onTopic(types, topic) },
  ]);
}

function onTopic(types: readonly TopicMessage[], topic: string): Json {
  return {
    channel: { $ref: `#/channels/${topic}` },
    messages: ofTopic(types, topic).map((type) => ({ $ref: `#/channels/${topic}/messages/${type.type}` })),
  };
}

/** Our events, envelope and data. */
export function eventMessages(types: readonly EventType<unknown>[]): Json {
  return record(types, (type) => [
    type.type,
    {
      name: type.type,
      summary: type.summary,
      contentType: "application/cloudevents+json",
      payload: {
        type: "object",
        required: ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "userversion", "data"],
        properties: {
          specversion: { const: "1.0" },
          id: { type: "string", format: "uuid", description: "The same at each repeat." },
          source: { const: EVENT_SOURCE },
          type: { const: type.type },
          subject: { type: "string", format: "uuid", description: "The user who changed; of an edge always the follower." },
          time: { type: "string", format: "date-time" },
          datacontenttype: { const: "application/json" },
          userversion: { type: "integer", minimum: 1, description: "Strictly grows for each subject on each topic." },
          traceparent: { type: "string", description: "W3C trace context." },
          data: jsonSchema(type.data, "output"),
        },
      },
    },
  ]);
}

/** The same of other services; what CloudEvents leaves open, they may leave out. */
export function receivedMessages(types: readonly NeighbourEventType<unknown>[]): Json {
  return record(types, (type) => [
    type.type,
    {
      name: type.type,
      summary: type.summary,
      contentType: "application/cloudevents+json",
      payload: {
        type: "object",
        required: ["specversion", "id", "source", "type", "data"],
        properties: {
          specversion: { const: "1.0" },
          id: {
            type: "string",
            minLength: 1,
            maxLength: 256,
            description: "The same at each repeat; another body under a known id is ignored.",
          },
          source: { enum: type.sources },
          type: { const: type.type },
          subject: { type: "string", description: "The user; the same as data.userId." },
          time: { type: "string", format: "date-time", description: "When it was so; the moment of receipt when left out." },
          userversion: { type: "integer", minimum: 1, description: "Strictly grows for each subject." },
          data: jsonSchema(type.data, "input"),
        },
      },
    },
  ]);
}

function topicsOf(types: readonly TopicMessage[]): string[] {
  return [...new Set(types.map((type) => type.topic))];
}

function ofTopic(types: readonly TopicMessage[], topic: string): TopicMessage[] {
  return types.filter((type) => type.topic === topic);
}
