/** The shape of a feature: nothing but data that the processes hand to the kits. */

import type { Consumer } from "#src/events/consumer";
import type { GraphqlPart } from "#src/graphql/part";
import type { InternalRoute } from "#src/http/internal-route";
import type { LinkPage } from "#src/http/link-pages";
import type { Route } from "#src/http/route";
import type { Job, Sweep } from "#src/jobs/job";
import type { ConnectionListener, SocketEvent } from "#src/realtime/socket-event";

/** One capability of the product, by the edges through which it is reached. */
export interface Feature<Deps, WorkDeps = Deps> {
  readonly name: string;
  readonly routes?: readonly Route<Deps>[];
  /** For other apps of the mesh, on the sidecar listener. */
  readonly internal?: readonly InternalRoute<Deps>[];
  readonly graphql?: GraphqlPart<Deps>;
  readonly sockets?: readonly SocketEvent<Deps>[];
  readonly connections?: ConnectionListener<Deps>;
  readonly consumers?: readonly Consumer<Deps>[];
  /** What links in mails open. */
  readonly pages?: readonly LinkPage<Deps>[];
  readonly jobs?: readonly Job<WorkDeps>[];
  readonly sweeps?: readonly Sweep<WorkDeps>[];
}
