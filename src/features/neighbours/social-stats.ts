/** The figures of someone's posts, as the social service told them. */

import type { Tx } from "#src/db/tx";
import { writeSocialStats, type Written } from "./neighbours.sql.ts";

/** As received, with what the envelope says. */
export interface ToldStats {
  readonly userId: string;
  readonly postsCount: number;
  readonly reactionsCount?: number | undefined;
  readonly version?: number | undefined;
  readonly subject: string | undefined;
  readonly envelopeVersion: number | undefined;
  readonly time: Date | undefined;
}

/** What became of them. All but `applied` change nothing. */
export type Taken = Written | "other-subject" | "no-version";

/** Takes the figures over if they are newer than those we have; older ones and repeats change nothing. */
export async function applySocialStats(tx: Tx, told: ToldStats): Promise<Taken> {
  const { userId, postsCount, reactionsCount = null, time = null } = told;
  if (told.subject !== undefined && told.subject.toLowerCase() !== userId.toLowerCase()) return "other-subject";
  const version = told.version ?? told.envelopeVersion;
  if (version === undefined) return "no-version";
  return await writeSocialStats(tx, { userId, version, postsCount, reactionsCount, sourceTime: time });
}
