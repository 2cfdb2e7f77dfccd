/** How long sessions last and how many there may be. */

/** As configured; `absoluteDays` counts for sessions that begin from then on. */
export interface SessionLimits {
  /** A session that is not refreshed for so long is over. */
  readonly idleDays: number;
  /** A session is over so long after it began, whatever happens. */
  readonly absoluteDays: number;
  /** Sessions an account may have; 0 for any number. */
  readonly perUser: number;
}
