/** Mail by SMTP (RFC 5321), through a server that we hand it to. One try each time: repeating is the job's. */

import { createTransport } from "nodemailer";
import type { SMTPPoolOptions } from "nodemailer/lib/smtp-pool";
import type { SMTPTransportGetSocketCallback } from "nodemailer/lib/smtp-transport";
import type { Clock } from "#src/kernel/clock";
import type { Secret } from "#src/kernel/secret";
import { MailRefused, type Mail, type MailMessage } from "./mail.ts";
import { connectToServer } from "./smtp-socket.ts";
import { smtpFailure, type SmtpError, type SmtpFailure } from "./smtp-failure.ts";

/** Which server, as whom, and from whom. */
export interface SmtpOptions {
  readonly host: string;
  readonly port: number;
  /** `starttls`: no word more without it; `implicit`: from the first byte; `off`: plain text. */
  readonly tls: "starttls" | "implicit" | "off";
  readonly login: { readonly user: string; readonly password: Secret<string> } | undefined;
  readonly from: { readonly name: string | undefined; readonly address: string };
  readonly clock: Clock;
  /** 5 s to connect, 10 for each answer and 25 in all when left out: a job has 30. */
  readonly limits?: SmtpLimits;
}

/** How long a server may take, in ms. */
export interface SmtpLimits {
  /** To connect, TLS and greeting included. */
  readonly connectMs: number;
  /** Between two signs of life. */
  readonly silenceMs: number;
  /** For one message, from first to last: a server that sends a byte now and then is never silent. */
  readonly messageMs: number;
}

/** Counted since the start. */
export interface SmtpFigures {
  readonly taken: number;
  /** For good: see MailRefused. */
  readonly refused: number;
  /** Tries that may be repeated. */
  readonly failed: number;
}

/** The last try failed, and so did all since then. */
export interface MailTrouble {
  readonly sinceMonotonicMs: number;
  /** Codes only. */
  readonly summary: string;
}

/** The driver, as its process holds it. */
export interface SmtpMail extends Mail {
  readonly figures: () => SmtpFigures;
  /** Undefined while mail is taken, or before there was any. */
  readonly trouble: () => MailTrouble | undefined;
  /** Closes all connections. A message that is under way fails; whoever would let it finish waits for its `send` first. */
  readonly close: () => void;
}

const LIMITS: SmtpLimits = { connectMs: 5_000, silenceMs: 10_000, messageMs: 25_000 };
/** As many as a worker has jobs at once. */
const MAX_CONNECTIONS = 4;
/** Servers end idle sessions after 5 minutes at the soonest (RFC 5321, 4.5.3.2.7); we go first. */
const IDLE_MS = 60_000;

/** Opens no connection before the first message. */
export function openSmtp(options: SmtpOptions): SmtpMail {
  const transport = openTransport(options);
  const { from, login, clock } = options;
  const domain = from.address.slice(from.address.lastIndexOf("@") + 1);
  const { messageMs } = options.limits ?? LIMITS;
  const counts = { taken: 0, refused: 0, failed: 0 };
  let trouble: MailTrouble | undefined;

  const failed = (error: unknown): Error => {
    const failure = describe(error, { messageMs, login });
    // A server that refuses one recipient works.
    trouble = failure.isFinal
      ? undefined
      : { sinceMonotonicMs: trouble?.sinceMonotonicMs ?? clock.monotonicMs(), summary: failure.summary };
    counts[failure.isFinal ? "refused" : "failed"] += 1;
    // Without a cause: the error of the library holds what was said, the address with it.
    return failure.isFinal ? new MailRefused(failure.reason) : new Error(`the mail server did not take it: ${failure.reason}`);
  };

  return {
    send: async (message) => {
      const flaw = flawOf(message);
      if (flaw !== undefined) {
        counts.refused += 1;
        throw new MailRefused(flaw);
      }
      try {
        await transport.sendMail({
          messageId: `<${message.messageId}@${domain}>`,
          from: { name: from.name ?? "", address: from.address },
          to: { name: "", address: message.to },
          envelope: { from: from.address, to: [message.to] },
          subject: message.subject,
          text: message.text,
          html: message.html,
          // RFC 3834: no out-of-office reply to this.
          headers: { "Auto-Submitted": "auto-generated" },
          xMailer: false,
          signal: AbortSignal.timeout(messageMs),
        });
      } catch (error) {
        throw failed(error);
      }
      counts.taken += 1;
      trouble = undefined;
    },
    figures: () => ({ ...counts }),
    trouble: () => trouble,
    close: () => transport.close({ force: true }),
  };
}

function openTransport({ host, port, tls, login, limits = LIMITS }: SmtpOptions) {
  return createTransport({
    pool: true,
    host,
    port,
    secure: tls === "implicit",
    requireTLS: tls === "starttls",
    ignoreTLS: tls === "off",
    tls: { minVersion: "TLSv1.2" },
    // Asked for even where it is not offered: a login that is silently left out would be found out much later.
    ...(login === undefined ? {} : { auth: { user: login.user, pass: login.password.reveal() }, forceAuth: true }),
    maxConnections: MAX_CONNECTIONS,
    idleTimeout: IDLE_MS,
    // Of a connection that turns out to be dead before a byte of the message went out; all other tries are the job's.
    maxRequeues: 1,
    getSocket: (_options: SMTPPoolOptions, callback: SMTPTransportGetSocketCallback) => {
      const socket = { host, port, loopbackOnly: tls === "off" && login !== undefined, withinMs: limits.connectMs };
      connectToServer(socket, (error, connection) => callback(error, connection === undefined ? false : { connection }));
    },
    connectionTimeout: limits.connectMs,
    greetingTimeout: limits.connectMs,
    socketTimeout: limits.silenceMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
}

function describe(error: unknown, { messageMs, login }: { readonly messageMs: number; readonly login: SmtpOptions["login"] }): SmtpFailure {
  const read = error as SmtpError;
  if (read.code === "EABORT") return { summary: "EABORT", reason: `EABORT: not done after ${messageMs} ms`, isFinal: false };
  return smtpFailure(read, login === undefined ? [] : [login.password]);
}

/** What would end a line or an address early. The library guards against that too; here it is refused, not mended. */
function flawOf({ messageId, to, subject }: MailMessage): string | undefined {
  if (!/^[\w-]{1,64}$/.test(messageId)) return "the id is not one of a job";
  if (!/^[^\s\p{Cc}<>@,;:"\\()[\]]{1,64}@[^\s\p{Cc}<>@,;:"\\()[\]]{1,253}$/u.test(to)) return "the address is not one address";
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(subject)) return "the subject is not one line";
  return undefined;
}
