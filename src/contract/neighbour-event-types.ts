/** The events of other services that this one takes in. What of their `data` is not named here is ignored: versions overlap. */

import { z } from "zod";

/** One kind of event that a neighbour sends. */
export interface NeighbourEventType<Data> {
  readonly topic: string;
  /** CloudEvents `source`: who may say this. The whole topic is theirs. */
  readonly sources: readonly string[];
  /** The CloudEvents `type`, as that service names it. */
  readonly type: string;
  readonly summary: string;
  readonly data: z.ZodType<Data>;
}

/** The social service, by the name it gives itself, and by its app id, which is what daprd writes for an app that names none. */
const SOCIAL_SERVICE = ["urn:videamozi:social-service", "social-service"] as const;

const count = z.int().min(0);

/** `data.version` decides which of two is newer; without it the envelope's `userversion` does. One of the two must be there. */
export const socialStatsUpdated: NeighbourEventType<{
  userId: string;
  postsCount: number;
  reactionsCount?: number | undefined;
  version?: number | undefined;
}> = {
  topic: "social.v1",
  sources: SOCIAL_SERVICE,
  type: "social.stats.updated.v1",
  summary: "What someone's posts come to: the whole figures, not what changed. The highest version holds, in whatever order they come.",
  data: z.object({
    userId: z.uuid().describe("Whose figures; the same as the envelope's subject where it has one"),
    postsCount: count.describe("Posts that others may see"),
    reactionsCount: count.optional().describe("Reactions to them; unknown when left out"),
    version: count.optional().describe("Strictly grows for each user; the envelope's userversion when left out"),
  }),
};

/** Every type we take in, for the generated documents. */
export function neighbourEventTypes(): readonly NeighbourEventType<unknown>[] {
  return [socialStatsUpdated as NeighbourEventType<unknown>];
}
