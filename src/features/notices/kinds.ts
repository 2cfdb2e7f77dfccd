/** Which notices their reader may turn off. */

import type { NoticeKind } from "#src/features/preferences/public";
import type { NoticeContent } from "./notices.content.ts";

const KINDS = {
  "follow.started": "follows",
  "follow.requested": "followRequests",
  "follow.accepted": "followAccepted",
} as const satisfies Partial<Record<NoticeContent["type"], NoticeKind>>;

/** The kind in one's preferences; undefined for what is always told: security, moderation and whatever is not named here. */
export function kindOf(type: string): NoticeKind | undefined {
  return Object.hasOwn(KINDS, type) ? KINDS[type as keyof typeof KINDS] : undefined;
}
