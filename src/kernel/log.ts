/** What the code needs of a logger: fields first, then a constant message. `telemetry/` implements it. */

/** Structured fields. Secrets are kept out by type (`Secret` prints `[secret]`). */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * ERROR: someone must act now. WARN: it has healed or will. INFO: what an operator wants to see once. DEBUG: the rest.
 */
export interface Log {
  readonly debug: (fields: LogFields, message: string) => void;
  readonly info: (fields: LogFields, message: string) => void;
  readonly warn: (fields: LogFields, message: string) => void;
  readonly error: (fields: LogFields, message: string) => void;
}

/** A log that drops everything, for tests and tools whose output is their own. */
export const silentLog: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** The kinds of the security stream; each is one line with `securityEvent: true`. */
export type SecurityEventKind =
  | "login.succeeded"
  | "login.failed"
  | "login.throttled"
  | "login.challenged"
  | "registration.succeeded"
  | "password.changed"
  | "password.reset"
  | "email.verified"
  | "roles.changed"
  | "factor.added"
  | "factor.removed"
  | "factor.failed"
  | "passkey.copied"
  | "identity.linked"
  | "identity.unlinked"
  | "identity.refused"
  | "device.trusted"
  | "device.forgotten"
  | "refresh.reuse"
  | "refresh.forged"
  | "token.rejected"
  | "session.revoked"
  | "access.denied"
  | "restriction.imposed"
  | "restriction.lifted"
  | "impersonation.begun"
  | "impersonation.ended"
  | "impersonation.used"
  | "impersonation.refused"
  | "admin.created"
  | "origin.refused"
  | "csrf.refused"
  | "sidecar.refused"
  | "event.forged";

/** Ids and codes only: no address in clear beyond what operators need, no token, no password. */
export interface SecurityEvent {
  readonly kind: SecurityEventKind;
  readonly userId?: string | undefined;
  readonly actorId?: string | undefined;
  readonly sessionId?: string | undefined;
  readonly address?: string | undefined;
  readonly reason?: string | undefined;
}

/** Writes one line to the security stream (OWASP ASVS 5.0, 16.3). */
export function securityEvent(log: Log, event: SecurityEvent): void {
  log.info({ securityEvent: true, ...event }, `security: ${event.kind}`);
}
