/** What a feature adds to the GraphQL schema. */

import type { GraphQLResolveInfo } from "graphql";
import type { Access, Action, Actor, Client } from "#src/kernel/actor";

/** What every resolver gets. `actor` is undefined only where a field's access is `anyone`. */
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

/** SDL (`extend type Query { … }`) and its resolvers. `types` holds the resolvers of object fields. */
export interface GraphqlPart<Deps> {
  readonly typeDefs: string;
  readonly queries?: Readonly<Record<string, RootField<Deps>>>;
  readonly mutations?: Readonly<Record<string, RootField<Deps>>>;
  readonly types?: Readonly<
    Record<string, Readonly<Record<string, (parent: never, args: never, context: GraphqlContext<Deps>) => unknown>>>
  >;
}
