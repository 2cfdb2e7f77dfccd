/** How counters are told to somebody whom others block. */

/**
 * Of one viewer: counters of others are told without so many who block the viewer, one probe for each. Whom more people block is told
 * no counters.
 */
export const MOST_BLOCKERS = 500;
