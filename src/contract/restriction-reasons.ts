/** Why an account may be restricted: the versioned list that moderators, resources and neighbours choose from. */

/** The version of the list, kept with each restriction. Codes are added or retired with a new version, never given another meaning. */
export const REASON_POLICY = "2026-11";

/** Code → how it is put to the person concerned. */
export const RESTRICTION_REASONS = {
  spam: "Spam or misleading promotion",
  harassment: "Harassment of others",
  hate: "Hate against people for who they are",
  violence: "Threats or glorification of violence",
  impersonation: "Pretending to be someone else",
  illegal: "Illegal content or activity",
  underage: "Below the minimum age",
  ban_evasion: "Getting around an earlier restriction",
  compromised: "The account appears to be in other hands",
  other: "Another breach of the rules",
} as const;

export type RestrictionReason = keyof typeof RESTRICTION_REASONS;

/** The codes, for schemas. */
export const REASON_CODES = Object.keys(RESTRICTION_REASONS) as [RestrictionReason, ...RestrictionReason[]];
