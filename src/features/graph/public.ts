/** The door of the graph: what stands between people. */

export { selectPairs, type PairKey, type PairRow } from "./pairs.sql.ts";
export { relationOf, targetOf } from "./relationships.ts";
