/** Who is asking, what a door wants of them, and the shapes by which the gate and throttles reach the kits as values. */

import type { SessionId, UserId } from "./ids.ts";
import type { Locale } from "./locale.ts";

/** `user < moderator < admin`; each may do what those before it may. */
export type Role = "user" | "moderator" | "admin";

/** Capabilities that a `limit` restriction can take away. */
export const CAPABILITIES = ["post", "follow", "message", "be_found", "edit_profile", "upload"] as const;
export type Capability = (typeof CAPABILITIES)[number];

/** An authenticated caller, as the session gate found them. */
export interface Actor {
  readonly userId: UserId;
  readonly sessionId: SessionId;
  readonly role: Role;
  /** True for the 15-minute session of a suspended or banned account; only doors that say `restricted: "allowed"` let it in. */
  readonly restricted: boolean;
  /** What a `limit` restriction took from this account. */
  readonly limited: ReadonlySet<Capability>;
  /** When the access token ends. */
  readonly tokenExpiresAt: Date;
  /** The admin who really acts, in an impersonation; whoever writes down who did something writes this. */
  readonly impersonatorId?: UserId;
}

/** What a route, field or socket event asks of its caller. */
export type Access =
  | { readonly kind: "anyone" }
  | {
      readonly kind: "account";
      /** The least role; `user` when left out. */
      readonly role?: Role;
      /** Whether the short session of a restricted account may pass; refused when left out. */
      readonly restricted?: "allowed";
      /** A capability that a `limit` restriction may have taken. */
      readonly capability?: Capability;
      /**
       * What an impersonation may do here; refused when left out, so that nothing new is open to it by itself. What it `writes` is
       * put on record under this name before it is done.
       */
      readonly impersonation?: "reads" | { readonly writes: string };
      /**
       * Where the operator opened profiles to visitors, whoever sends no token may pass too, as nobody: counted by address under
       * this action. A token that is sent must be good all the same.
       */
      readonly visitors?: Action;
    };

export const anyone = { kind: "anyone" } as const satisfies Access;
export const account = { kind: "account" } as const satisfies Access;
/** Accounts, and admins who look on in their place. */
export const accountOrLook = { kind: "account", impersonation: "reads" } as const satisfies Access;

/** What a try of a door counts as. */
export function actionOf(door: { readonly needs: Access; readonly throttle: Action }, actor: Actor | undefined): Action {
  const { needs, throttle } = door;
  return (actor === undefined && needs.kind === "account" ? needs.visitors : undefined) ?? throttle;
}

/**
 * The session gate: the one function that decides whether a bearer of this token may pass.
 * @throws Problem `token.missing`, `token.invalid`, `token.expired`, `session.revoked`, `account.restricted`, `access.denied`, `capability.limited`, `impersonation.refused`, `service.busy`
 */
export type Gate = (accessToken: string | undefined, access: Access) => Promise<Actor | undefined>;

/** Where a request came from, worked out once from socket and trusted hops. */
export interface Client {
  /** The address as text; IPv4-mapped IPv6 is given as IPv4. */
  readonly address: string;
  /** What throttles count by: the address, an IPv6 one cut to its /64. */
  readonly addressKey: string;
  readonly userAgent: string;
  /** What it wants to be written to in, as far as we can. */
  readonly locale: Locale;
}

/** The throttle of one action, named like the use case it guards; the same on REST, GraphQL and sockets. */
export interface Action {
  readonly name: string;
  readonly limit: number;
  readonly windowSeconds: number;
  /** Of budgets that count across processes: how the tries within one are slowed down. */
  readonly pace?: Pace;
}

/** After so many tries in a row the next one waits, each time twice as long. */
export interface Pace {
  readonly freeTries: number;
  readonly firstSeconds: number;
  readonly mostSeconds: number;
}

/** Counts one try of `action` by whoever asks. @throws Problem `rate.limited` with `Retry-After` and `RateLimit-*`. */
export type Throttle = (action: Action, who: { readonly actor?: Actor | undefined; readonly client: Client }) => void;

/** Budgets that count across processes, for attempts to sign in. */
export interface Attempts {
  /** Counts one attempt under this key. @throws Problem `sign_in.throttled` with `Retry-After` and `RateLimit-*` when the budget is used up, or before its pace lets another through */
  readonly take: (action: Action, key: string) => Promise<void>;
  /** Gives the whole budget back, after a success. */
  readonly forgive: (action: Action, key: string) => Promise<void>;
}

const RANK: Readonly<Record<Role, number>> = { user: 0, moderator: 1, admin: 2 };

/** Whether `role` is at least `least`. */
export function hasRole(role: Role, least: Role): boolean {
  return RANK[role] >= RANK[least];
}

/** Whether someone of role `actor` may act on someone of role `target`: never on an equal or higher one. */
export function outranks(actor: Role, target: Role): boolean {
  return RANK[actor] > RANK[target];
}

/** The highest of an account's roles; `user` when the list is empty. */
export function topRole(roles: readonly string[]): Role {
  if (roles.includes("admin")) return "admin";
  return roles.includes("moderator") ? "moderator" : "user";
}
