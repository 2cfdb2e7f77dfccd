/** A real mail server on loopback, for one test: it takes mail, refuses, hangs up or falls silent as it is told. */

import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { SMTPServer, type SMTPServerOptions, type SMTPServerSession } from "smtp-server";
import { selfSigned, type Certificate } from "./certificate.ts";

/** A message as it came. */
export interface Received {
  /** Of the envelope. */
  readonly from: string;
  readonly to: readonly string[];
  /** Headers and body, as sent. */
  readonly raw: string;
  readonly isEncrypted: boolean;
  readonly user: string | undefined;
}

/** A reply other than yes: thrown by what a test hands in. */
export class Reply extends Error {
  readonly responseCode: number;

  constructor(responseCode: number, text: string) {
    super(text);
    this.responseCode = responseCode;
  }
}

export interface MailServerOptions {
  /** `starttls` when left out. */
  readonly tls?: "starttls" | "implicit" | "none";
  /** Whom its certificate is for; `localhost` when left out. */
  readonly certifiedName?: string;
  /** Whoever has these may send; when left out nobody needs any. */
  readonly login?: { readonly user: string; readonly password: string };
  /** Whether logins are offered; yes when left out. */
  readonly offersLogin?: boolean;
  /** A free one when left out. */
  readonly port?: number;
  /** Where it listens; 127.0.0.1 when left out. */
  readonly address?: string;
  /** Called for each recipient with how many came before. May throw a Reply. */
  readonly onRecipient?: (address: string, count: number) => void;
  /**
   * Called when a whole message has come, with how many came before. May throw a Reply. `hang-up` ends the connection
   * in place of the answer, `silence` never answers.
   */
  readonly onMessage?: (count: number) => "take" | "hang-up" | "silence";
}

export interface MailServer extends AsyncDisposable {
  readonly port: number;
  readonly certificate: Certificate;
  /** Whole messages in the order they came, with those that were not answered. */
  readonly received: readonly Received[];
  /** How many clients are connected now. */
  readonly connections: () => number;
  /** Logins that were tried, right or wrong. */
  readonly logins: () => number;
  /** How many have connected. */
  readonly greeted: () => number;
}

/** Starts one on a free port. */
export async function startMailServer(options: MailServerOptions = {}): Promise<MailServer> {
  const { tls = "starttls" } = options;
  const certificate = selfSigned(options.certifiedName ?? "localhost");
  const received: Received[] = [];
  const seen = { greeted: 0, logins: 0 };
  const server = new SMTPServer({
    ...certificate,
    ...handlers(options, {
      received,
      seen,
      hangUp: (sessionId) => [...server.connections].find(({ session }) => session.id === sessionId)?._socket.destroy(),
    }),
    secure: tls === "implicit",
    disabledCommands: [...(tls === "none" ? ["STARTTLS"] : []), ...(options.offersLogin === false ? ["AUTH"] : [])],
    authOptional: options.login === undefined,
    allowInsecureAuth: tls === "none",
    disableReverseLookup: true,
    logger: false,
    closeTimeout: 100,
  });
  // A client that cuts the connection is part of some tests.
  server.on("error", () => {});
  server.listen(options.port ?? 0, options.address ?? "127.0.0.1");
  await once(server.server, "listening");
  return {
    port: (server.server.address() as AddressInfo).port,
    certificate,
    received,
    connections: () => server.connections.size,
    logins: () => seen.logins,
    greeted: () => seen.greeted,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

type Handlers = Pick<SMTPServerOptions, "onConnect" | "onAuth" | "onRcptTo" | "onData">;

interface Server {
  readonly received: Received[];
  readonly seen: { greeted: number; logins: number };
  readonly hangUp: (sessionId: string) => void;
}

function handlers(options: MailServerOptions, { received, seen, hangUp }: Server): Handlers {
  let recipients = 0;
  return {
    onConnect: (_session, callback) => {
      seen.greeted += 1;
      callback();
    },
    onAuth: ({ username, password }, _session, callback) => {
      seen.logins += 1;
      const isKnown = username === options.login?.user && password === options.login?.password;
      // As careless as a server can be: it says what it was told.
      if (isKnown) callback(null, { user: username });
      else callback(new Reply(535, `5.7.8 no such user and password: ${username} ${password}`));
    },
    onRcptTo: ({ address }, _session, callback) => callback(refusal(() => options.onRecipient?.(address, recipients++))),
    onData(stream, session, callback) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        received.push(readMessage(session, Buffer.concat(chunks).toString("utf8")));
        const refused = refusal(() => {
          const answer = options.onMessage?.(received.length - 1) ?? "take";
          if (answer === "hang-up") hangUp(session.id);
          if (answer === "take") callback();
        });
        if (refused !== null) callback(refused);
      });
    },
  };
}

function readMessage({ envelope, secure, user }: SMTPServerSession, raw: string): Received {
  return {
    from: envelope.mailFrom === false ? "" : envelope.mailFrom.address,
    to: envelope.rcptTo.map((one) => one.address),
    raw,
    isEncrypted: secure,
    user: user as string | undefined,
  };
}

function refusal(ask: () => unknown): Error | null {
  try {
    ask();
    return null;
  } catch (error) {
    return error as Error;
  }
}
