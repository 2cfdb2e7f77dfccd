/** What the service tells its users: in the app, on their sockets, by mail. */

import { noticesConsumers } from "./notices.consumers.ts";
import { noticesGraphql } from "./notices.graphql.ts";
import { noticesJobs } from "./notices.jobs.ts";
import { noticesRoutes } from "./notices.routes.ts";

export const notices = { name: "notices", routes: noticesRoutes, graphql: noticesGraphql, consumers: noticesConsumers, jobs: noticesJobs };
