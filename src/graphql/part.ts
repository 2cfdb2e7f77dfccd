/** What a feature adds to the GraphQL schema. */

import type { GraphQLResolveInfo } from "graphql";
import type { Access, Action, Actor, Client } from "#src/kernel/actor";
import type { ServerEvent, SocketHandle } from "#src/realtime/socket-event";

/** What every resolver gets. `actor` is undefined only where a field's access is `anyone`, or a visitor asks. */
export interface GraphqlContext<Deps> {
  readonly deps: Deps;
  readonly actor: Actor | undefined;
  readonly client: Client;
  /** The request's DataLoader by this key, made on first use, so that many fields cost one statement. */
  readonly loader: <Key, Value>(
    name: string,
    batch: (keys: readonly Key[]) => Promise<readonly (Value | Error)[]>,
  ) => { load: (key: Key) => Promise<Value> };
}

/** A root field: its access and throttle are checked by the kit before it runs. */
export interface RootField<Deps> {
  readonly needs: Access;
  readonly throttle: Action;
  readonly resolve: (context: GraphqlContext<Deps>, args: never, info: GraphQLResolveInfo) => unknown;
}

/**
 * A field below the root that is a door of its own, as a list of somebody's followers is: its access and throttle are checked
 * for each object that it is asked of, by whatever root field one came there.
 */
export interface DoorField<Deps> {
  readonly needs: Access;
  readonly throttle: Action;
  readonly resolve: (parent: never, args: never, context: GraphqlContext<Deps>) => unknown;
}

/** How a field of an object is resolved. */
export type ObjectField<Deps> = DoorField<Deps>["resolve"] | DoorField<Deps>;

/** A type that other services of a federated graph refer to by its `@key`. Its door is passed before any reference is resolved. */
export interface Entity<Deps> {
  readonly needs: Access;
  readonly throttle: Action;
  /** Whom or what it names; null where the caller may not know of it. To be loaded through `context.loader`: a request has many. */
  readonly resolveReference: (context: GraphqlContext<Deps>, reference: Readonly<Record<string, unknown>>) => unknown;
}

/** The connection that a subscription came over, to the rooms a socket like any other. */
export interface SubscriberHandle extends Pick<SocketHandle, "actor" | "leave" | "rooms"> {
  /** Joins, and leaves at the end of this subscription unless another one of the connection still wants the room. */
  readonly join: (room: string) => Promise<void>;
}

/** What a subscription tells, once it is known what was asked for. */
export interface Beginning<Data> {
  /** Told before anything that is pushed. */
  readonly first?: readonly Data[];
  /** Which pushed events are told; all when left out. Asked once for each event, in order. */
  readonly wants?: (data: Data) => boolean;
}

/**
 * A root field that tells clients what sockets are told by one event of the server. Whom it reaches is decided by the rooms its
 * connection is in, hence by the policy that lets into them and takes out of them. Make it with `subscription`.
 */
export interface SubscriptionField<Deps> {
  readonly needs: Access & { readonly kind: "account" };
  readonly throttle: Action;
  readonly event: ServerEvent<unknown>;
  /** Events that are pushed while it runs wait for it. */
  readonly begin: (context: GraphqlContext<Deps>, subscriber: SubscriberHandle, args: never) => Promise<Beginning<unknown>>;
}

/** Declares a subscription; what it tells has the type of its event. */
export function subscription<Deps, Data>(
  spec: Pick<SubscriptionField<Deps>, "needs" | "throttle"> & {
    readonly event: ServerEvent<Data>;
    readonly begin: (context: GraphqlContext<Deps>, subscriber: SubscriberHandle, args: unknown) => Promise<Beginning<Data>>;
  },
): SubscriptionField<Deps> {
  return spec as unknown as SubscriptionField<Deps>;
}

/** SDL (`extend type Query { … }`) and its resolvers. `types` holds the resolvers of object fields. */
export interface GraphqlPart<Deps> {
  readonly typeDefs: string;
  readonly queries?: Readonly<Record<string, RootField<Deps>>>;
  readonly mutations?: Readonly<Record<string, RootField<Deps>>>;
  readonly subscriptions?: Readonly<Record<string, SubscriptionField<Deps>>>;
  readonly types?: Readonly<Record<string, Readonly<Record<string, ObjectField<Deps>>>>>;
  /** By the name of the type, whose SDL has `@key(fields: …)`. */
  readonly entities?: Readonly<Record<string, Entity<Deps>>>;
}

/** Who asks, in a field that needs an account: the gate has admitted one. */
export function callerOf({ actor }: Pick<GraphqlContext<unknown>, "actor">): Actor {
  if (actor === undefined) throw new Error("a field for accounts was resolved without one");
  return actor;
}

/** Several parts of one feature as one. */
export function joinParts<Deps>(...parts: readonly GraphqlPart<Deps>[]): GraphqlPart<Deps> {
  const types: Record<string, Record<string, ObjectField<Deps>>> = {};
  for (const part of parts) for (const [name, fields] of Object.entries(part.types ?? {})) types[name] = { ...types[name], ...fields };
  return {
    typeDefs: parts.map(({ typeDefs }) => typeDefs).join("\n"),
    queries: Object.assign({}, ...parts.map(({ queries }) => queries)) as NonNullable<GraphqlPart<Deps>["queries"]>,
    mutations: Object.assign({}, ...parts.map(({ mutations }) => mutations)) as NonNullable<GraphqlPart<Deps>["mutations"]>,
    subscriptions: Object.assign({}, ...parts.map(({ subscriptions }) => subscriptions)) as NonNullable<GraphqlPart<Deps>["subscriptions"]>,
    types,
    entities: Object.assign({}, ...parts.map(({ entities }) => entities)) as NonNullable<GraphqlPart<Deps>["entities"]>,
  };
}
