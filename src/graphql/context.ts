/** What one request's resolvers share. */

import DataLoader from "dataloader";
import { actionOf, type Access, type Actor, type Client, type Gate, type Throttle } from "#src/kernel/actor";
import { currentSpan } from "#src/kernel/trace";
import type { GraphqlContext, RootField, SubscriptionField } from "./part.ts";

/** Where subscriptions of a connection come from. */
export interface Source<Deps> {
  /** @throws Problem as the field's `begin` */
  readonly open: (field: SubscriptionField<Deps>, context: GraphqlContext<Deps>, args: unknown) => Promise<AsyncIterable<unknown>>;
}

interface Asker {
  readonly accessToken: string | undefined;
  readonly client: Client;
  readonly gate: Gate;
  readonly throttle: Throttle;
}

/** Objects that one DataLoader asks for at once. */
const LARGEST_BATCH = 500;

/**
 * The gate is asked when the first field needs it, and once for each distinct access among the query's fields.
 * Members are `private` and not `#`: Apollo hands a shallow copy to the resolvers, which `#` members would not survive.
 */
export class RequestContext<Deps> implements GraphqlContext<Deps> {
  readonly deps: Deps;
  readonly client: Client;
  actor: Actor | undefined = undefined;
  private readonly asker: Asker;
  private readonly source: Source<Deps> | undefined;
  private readonly admissions = new Map<string, Promise<Actor | undefined>>();
  private readonly loaders = new Map<string, DataLoader<unknown, unknown>>();

  /** @param source where the request came over a websocket */
  constructor(deps: Deps, asker: Asker, source?: Source<Deps>) {
    this.deps = deps;
    this.client = asker.client;
    this.asker = asker;
    this.source = source;
  }

  /** Lets a root field run or throws why not. A mutation asks anew: the one before it may have ended the session. */
  async admit(field: Pick<RootField<Deps>, "needs" | "throttle">, kind: "query" | "mutation" | "subscription"): Promise<void> {
    const actor = await (kind === "query" ? this.admission(field.needs) : this.ask(field.needs));
    if (actor !== undefined) {
      this.actor = actor;
      currentSpan()?.set({ "enduser.id": actor.userId });
    }
    this.asker.throttle(actionOf(field, actor), { actor, client: this.client });
  }

  /** Begins a subscription whose field was admitted. @throws Problem as the field's `begin` */
  subscribe(field: SubscriptionField<Deps>, args: unknown): Promise<AsyncIterable<unknown>> {
    if (this.source === undefined) throw new Error("a subscription came over HTTP");
    return this.source.open(field, this, args);
  }

  readonly loader: GraphqlContext<Deps>["loader"] = <Key, Value>(
    name: string,
    batch: (keys: readonly Key[]) => Promise<readonly (Value | Error)[]>,
  ): { readonly load: (key: Key) => Promise<Value> } => {
    let loader = this.loaders.get(name) as DataLoader<Key, Value> | undefined;
    if (loader === undefined) {
      loader = new DataLoader<Key, Value>(batch, { maxBatchSize: LARGEST_BATCH });
      this.loaders.set(name, loader as DataLoader<unknown, unknown>);
    }
    return loader;
  };

  private admission(needs: Access): Promise<Actor | undefined> {
    const key = JSON.stringify(needs);
    let admission = this.admissions.get(key);
    if (admission === undefined) {
      admission = this.ask(needs);
      this.admissions.set(key, admission);
    }
    return admission;
  }

  private ask(needs: Access): Promise<Actor | undefined> {
    return this.asker.gate(this.asker.accessToken, needs);
  }
}
