import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterEach, describe, expect, it } from "@jest/globals";
import { systemClock } from "#src/kernel/clock";
import { Secret } from "#src/kernel/secret";
import { Reply, startMailServer, type MailServer } from "../../test/kit/mail-server.ts";
import { until } from "../../test/kit/until.ts";
import { MailRefused, type MailMessage } from "./mail.ts";
import { openSmtp, type SmtpMail, type SmtpOptions } from "./smtp.ts";

const message: MailMessage = {
  messageId: "019abc00-0000-7000-8000-000000000001",
  to: "ann@example.com",
  subject: "Your account has been suspended",
  text: "Hello Zoë,\n\n.a line that begins with a dot\n",
  html: "<!doctype html><p>Hello Zo&euml;</p>",
};
const MESSAGE_ID = "<019abc00-0000-7000-8000-000000000001@mail.example.org>";
const login = { user: "app", password: "p4ss:w@rd/ü" };

type Parts = Partial<SmtpOptions>;
const opened: SmtpMail[] = [];

/** A driver without TLS, which the tests of TLS ask for. */
function open(port: number, parts: Parts = {}): SmtpMail {
  const mail = openSmtp({
    host: "localhost",
    port,
    tls: "off",
    login: undefined,
    from: { name: "User Service", address: "no-reply@mail.example.org" },
    clock: systemClock,
    ...parts,
  });
  opened.push(mail);
  return mail;
}

/** A driver and a server, both without TLS. */
async function openBoth(options: Parameters<typeof startMailServer>[0] = {}, parts: Parts = {}): Promise<[SmtpMail, MailServer]> {
  const server = await startMailServer({ tls: "none", ...options });
  return [open(server.port, parts), server];
}

const asLogin = { user: login.user, password: new Secret(login.password) };

async function errorOf(sending: Promise<void>): Promise<Error> {
  return await sending.then(
    () => {
      throw new Error("it was sent");
    },
    (error: unknown) => error as Error,
  );
}

const systemCertificates = getCACertificates("default");

afterEach(() => {
  for (const mail of opened.splice(0)) mail.close();
  setDefaultCACertificates(systemCertificates);
});

describe("mail by SMTP", () => {
  it("hands over text and HTML, from whom and to whom it is", async () => {
    const [mail, server] = await openBoth();
    await using _server = server;
    await mail.send(message);
    expect(server.received).toHaveLength(1);
    const [got] = server.received;
    expect(got).toMatchObject({ from: "no-reply@mail.example.org", to: ["ann@example.com"] });
    const raw = got?.raw ?? "";
    expect(raw).toMatch(/^From: User Service <no-reply@mail\.example\.org>\r$/m);
    expect(raw).toMatch(/^To: ann@example\.com\r$/m);
    expect(raw).toMatch(/^Subject: Your account has been suspended\r$/m);
    expect(raw).toContain(`Message-ID: ${MESSAGE_ID}\r\n`);
    expect(raw).toMatch(/^Auto-Submitted: auto-generated\r$/m);
    expect(raw).toMatch(/^Content-Type: multipart\/alternative;/m);
    expect(raw).toMatch(/text\/plain; charset=utf-8[^]*Hello Zo=C3=AB,[^]*^\.a line that begins with a dot/m);
    expect(raw).toMatch(/text\/html; charset=utf-8[^]*<p>Hello Zo&euml;<\/p>/);
    expect(raw).not.toMatch(/nodemailer/i);
    expect(mail.figures()).toEqual({ taken: 1, refused: 0, failed: 0 });
  });

  it("keeps the Message-ID when the same message is sent again", async () => {
    // The server has it all, and is gone before it says so: neither side knows what the other does.
    const [mail, server] = await openBoth({ onMessage: (count) => (count === 0 ? "hang-up" : "take") });
    await using _server = server;
    expect(await errorOf(mail.send(message))).not.toBeInstanceOf(MailRefused);
    await mail.send(message);
    const ids = server.received.map(({ raw }) => /^Message-ID: (.*)\r$/m.exec(raw)?.[1]);
    expect(ids).toEqual([MESSAGE_ID, MESSAGE_ID]);
  });

  it("keeps a few connections and uses them again", async () => {
    const [mail, server] = await openBoth();
    await using _server = server;
    const numbered = (n: number): MailMessage => ({ ...message, messageId: `job-${n}` });
    await Promise.all(Array.from({ length: 12 }, (_, n) => mail.send(numbered(n))));
    expect(server.received).toHaveLength(12);
    expect(server.greeted()).toBeLessThanOrEqual(4);
    expect(server.connections()).toBeGreaterThan(0);
    mail.close();
    await until(() => server.connections() === 0, { what: "the connections to be closed" });
    expect((await errorOf(mail.send(message))).message).toContain("closed");
  });

  it("sends over a new connection when the server has closed the one it had", async () => {
    const server = await startMailServer({ tls: "none" });
    const mail = open(server.port);
    await mail.send(message);
    await server[Symbol.asyncDispose]();
    await using again = await startMailServer({ tls: "none", port: server.port });
    await mail.send(message);
    expect(again.received).toHaveLength(1);
  });
});

describe("a mail server that says no", () => {
  it.each([
    ["the recipient", { onRecipient: () => raise(550, "5.1.1 <ann@example.com>: no such user") }],
    ["the message", { onMessage: () => raise(554, "5.6.0 not for ann@example.com") }],
  ])("for good to %s is believed, and works", async (_what, options) => {
    const [mail, server] = await openBoth(options);
    await using _server = server;
    const error = await errorOf(mail.send(message));
    expect(error).toBeInstanceOf(MailRefused);
    expect(error.message).toMatch(/55[04] 5\.[16]\.[01]: .*\(address\)/);
    expect(error.message).not.toContain("ann@");
    expect(mail.figures()).toEqual({ taken: 0, refused: 1, failed: 0 });
    expect(mail.trouble()).toBeUndefined();
  });

  it("for now is asked again", async () => {
    const [mail, server] = await openBoth({ onRecipient: (_address, count) => (count === 0 ? raise(451, "4.7.1 later") : undefined) });
    await using _server = server;
    const error = await errorOf(mail.send(message));
    expect(error).not.toBeInstanceOf(MailRefused);
    expect(error.message).toContain("451 4.7.1");
    const trouble = mail.trouble();
    expect(trouble).toMatchObject({ summary: "EENVELOPE 451 4.7.1" });
    await mail.send(message);
    expect(mail.trouble()).toBeUndefined();
    expect(mail.figures()).toEqual({ taken: 1, refused: 0, failed: 1 });
  });

  it("is told since when it is in trouble, from the first failure on", async () => {
    let nowMs = 1_000;
    const clock = { ...systemClock, monotonicMs: () => nowMs };
    const [mail, server] = await openBoth({ onRecipient: () => raise(451, "4.7.1 later") }, { clock });
    await using _server = server;
    await errorOf(mail.send(message));
    nowMs = 9_000;
    await errorOf(mail.send(message));
    expect(mail.trouble()).toMatchObject({ sinceMonotonicMs: 1_000 });
  });

  it("has no word for it when it is not there", async () => {
    const server = await startMailServer({ tls: "none" });
    await server[Symbol.asyncDispose]();
    const mail = open(server.port);
    expect((await errorOf(mail.send(message))).message).toMatch(/: ECONNREFUSED: /);
  });
});

describe("a login", () => {
  it("is used", async () => {
    const [mail, server] = await openBoth({ login }, { login: asLogin });
    await using _server = server;
    await mail.send(message);
    expect(server.received[0]).toMatchObject({ user: "app" });
  });

  it("that is wrong is worth another try, and shows in no error", async () => {
    const [mail, server] = await openBoth({ login }, { login: { user: "app", password: new Secret("wrong-password") } });
    await using _server = server;
    const error = await errorOf(mail.send(message));
    expect(error).not.toBeInstanceOf(MailRefused);
    expect(error.message).toContain("EAUTH 535 5.7.8: the server does not take user and password");
    expect(everythingIn(error)).not.toContain("wrong-password");
    expect(mail.trouble()?.summary).toBe("EAUTH 535 5.7.8");
    expect(server.received).toEqual([]);
  });

  it("is not left out because the server does not ask for one", async () => {
    const [mail, server] = await openBoth({ offersLogin: false }, { login: asLogin });
    await using _server = server;
    expect((await errorOf(mail.send(message))).message).toContain("EAUTH");
    expect(server.received).toEqual([]);
  });
});

describe("TLS to the mail server", () => {
  it.each(["starttls", "implicit"] as const)("(%s) is refused where the certificate is nobody's we trust", async (tls) => {
    await using server = await startMailServer({ tls, login });
    const mail = open(server.port, { tls, login: asLogin });
    const error = await errorOf(mail.send(message));
    expect(error.message).toMatch(/self-signed certificate/);
    expect(error).not.toBeInstanceOf(MailRefused);
    expect(server.received).toEqual([]);
  });

  it.each(["starttls", "implicit"] as const)("(%s) carries login and message where it is trusted", async (tls) => {
    await using server = await startMailServer({ tls, login });
    setDefaultCACertificates([...systemCertificates, server.certificate.cert]);
    await open(server.port, { tls, login: asLogin }).send(message);
    expect(server.received).toMatchObject([{ isEncrypted: true, user: "app" }]);
  });

  it("is refused to a server under another name", async () => {
    await using server = await startMailServer({ tls: "starttls", certifiedName: "mail.example.net" });
    setDefaultCACertificates([...systemCertificates, server.certificate.cert]);
    const mail = open(server.port, { tls: "starttls" });
    expect((await errorOf(mail.send(message))).message).toMatch(/not in the cert's list|ERR_TLS_CERT_ALTNAME_INVALID/);
  });

  it("is not done without: a server that does not offer it gets neither login nor message", async () => {
    await using server = await startMailServer({ tls: "none", login });
    const error = await errorOf(open(server.port, { tls: "starttls", login: asLogin }).send(message));
    expect(error.message).toContain("ETLS");
    expect(server.logins()).toBe(0);
    expect(server.received).toEqual([]);
  });
});

describe("a mail server that does not answer", () => {
  const limits = { connectMs: 5_000, silenceMs: 500, messageMs: 10_000 };

  it("to the connection is left in time", async () => {
    await using silent = await startSilent();
    expect((await errorOf(open(silent.port, { limits: { ...limits, connectMs: 150 } }).send(message))).message).toMatch(/: ETIMEDOUT: /);
  });

  it("to the message is left in time", async () => {
    const [mail, server] = await openBoth({ onMessage: () => "silence" }, { limits });
    await using _server = server;
    expect((await errorOf(mail.send(message))).message).toMatch(/ETIMEDOUT/);
    expect(server.received).toHaveLength(1);
  });

  it("but is never quite silent is left in time too", async () => {
    await using dripping = await startSilent((socket) => {
      socket.write("220 hello\r\n");
      const timer = setInterval(() => socket.write("250-and\r\n"), 20);
      socket.once("close", () => clearInterval(timer));
    });
    const mail = open(dripping.port, { limits: { ...limits, messageMs: 400 } });
    expect((await errorOf(mail.send(message))).message).toContain("EABORT: not done after 400 ms");
    await until(() => dripping.connections() === 0, { what: "the connection to be closed" });
  });

  it("does not hold up the end of the process", async () => {
    const [mail, server] = await openBoth({ onMessage: () => "silence" });
    await using _server = server;
    const sending = errorOf(mail.send(message));
    await until(() => server.received.length === 1);
    mail.close();
    expect((await sending).message).toMatch(/closed/i);
  });
});

describe("what would break out of a header or a command", () => {
  it.each([
    ["a line end in the subject", { subject: "Hello\r\nBcc: eve@example.com" }],
    ["a bare line feed in the subject", { subject: "Hello\nBcc: eve@example.com" }],
    ["a Unicode line end in the subject", { subject: "Hello\u2028Bcc: eve@example.com" }],
    ["a line end in the address", { to: "ann@example.com\r\nRCPT TO:<eve@example.com>" }],
    ["a second address", { to: "ann@example.com,eve@example.com" }],
    ["an address in brackets", { to: "Ann <ann@example.com>" }],
    ["a bracket too many", { to: "ann@example.com> NOTIFY=SUCCESS" }],
    ["a comment in the address", { to: "ann(eve@example.com)@example.com" }],
    ["no address", { to: "" }],
    ["a line end in the id", { messageId: "1>\r\nBcc: eve@example.com\r\nX: <" }],
  ])("is refused for good: %s", async (_what, parts) => {
    const [mail, server] = await openBoth();
    await using _server = server;
    expect(await errorOf(mail.send({ ...message, ...parts }))).toBeInstanceOf(MailRefused);
    expect(server.greeted()).toBe(0);
  });

  it("is only text in the body", async () => {
    const [mail, server] = await openBoth();
    await using _server = server;
    const hostile = "x\r\n.\r\nMAIL FROM:<eve@example.com>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n";
    await mail.send({ ...message, text: hostile, html: hostile });
    expect(server.received).toHaveLength(1);
    expect(server.received[0]?.to).toEqual(["ann@example.com"]);
  });

  it("is encoded where it is a name or words of another script", async () => {
    const [mail, server] = await openBoth({}, { from: { name: "Üser, Service", address: "no-reply@mail.example.org" } });
    await using _server = server;
    await mail.send({ ...message, subject: "Ihr Konto wurde gesperrt – für immer" });
    const head = server.received[0]?.raw.split("\r\n\r\n", 1)[0] ?? "";
    expect(head).toMatch(/^From: =\?UTF-8\?.*<no-reply@mail\.example\.org>\r$/im);
    expect(head).toMatch(/^Subject: =\?UTF-8\?/im);
    expect(head).toMatch(/^[\x20-\x7e\r\n]*$/);
  });
});

function raise(responseCode: number, text: string): never {
  throw new Reply(responseCode, text);
}

/** With whatever hangs on it. */
function everythingIn(error: Error): string {
  return `${error.stack ?? ""} ${JSON.stringify(error, Object.getOwnPropertyNames(error))} ${String(error.cause)}`;
}

interface Silent extends AsyncDisposable {
  readonly port: number;
  readonly connections: () => number;
}

/** A listener that says nothing by itself. */
async function startSilent(onConnection: (socket: Socket) => void = () => {}): Promise<Silent> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket
      .on("error", () => {})
      .once("close", () => sockets.delete(socket))
      .resume();
    onConnection(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => sockets.size,
    [Symbol.asyncDispose]: async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, "close");
    },
  };
}
