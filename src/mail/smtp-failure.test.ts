import { describe, expect, it } from "@jest/globals";
import { Secret } from "#src/kernel/secret";
import { smtpFailure, type SmtpError } from "./smtp-failure.ts";

function reply(response: string, parts: Partial<SmtpError> = {}): SmtpError {
  return { message: `failed: ${response}`, response, responseCode: Number(response.slice(0, 3)), ...parts };
}

const toRecipient = { code: "EENVELOPE", command: "RCPT TO" };
const toMessage = { code: "EMESSAGE", command: "DATA" };

describe("what a mail server's reply means", () => {
  it.each([
    ["no such mailbox", reply("550 5.1.1 no such user", toRecipient)],
    ["no such mailbox, without an enhanced code", reply("550 no such user", toRecipient)],
    ["a mailbox that is full for good", reply("552 5.2.2 over quota", toRecipient)],
    ["a domain that takes no mail", reply("556 5.1.10 null MX", toRecipient)],
    ["content that is not wanted", reply("554 5.6.0 no", toMessage)],
  ])("is final: %s", (_what, error) => {
    expect(smtpFailure(error).isFinal).toBe(true);
  });

  it.each([
    ["greylisting", reply("450 4.2.0 greylisted", toRecipient)],
    ["no space", reply("452 4.3.1 no space", toMessage)],
    ["a server that leaves", reply("421 4.3.2 going down", toRecipient)],
    ["a wrong password", reply("535 5.7.8 no", { code: "EAUTH", command: "AUTH PLAIN" })],
    ["a sender that is not ours", reply("550 5.1.8 who are you", { code: "EENVELOPE", command: "MAIL FROM" })],
    ["relaying denied", reply("554 5.7.1 relay access denied", toRecipient)],
    ["a bad reputation", reply("550 5.7.1 listed", toMessage)],
    ["a login that is wanted", reply("530 authentication required", toRecipient)],
    ["commands out of order", reply("503 bad sequence", toRecipient)],
    ["no reply", { message: "connect ECONNREFUSED", code: "ESOCKET", originalCode: "ECONNREFUSED", command: "CONN" }],
    ["an error without a code", { message: "something" }],
  ])("is worth another try: %s", (_what, error) => {
    expect(smtpFailure(error).isFinal).toBe(false);
  });

  it("is told with its codes, then in the server's words, on one line", () => {
    expect(smtpFailure(reply("550-5.1.1 no\r\n550 5.1.1 such user", toRecipient))).toEqual({
      summary: "EENVELOPE 550 5.1.1",
      reason: "EENVELOPE 550 5.1.1: 550-5.1.1 no 550 5.1.1 such user",
      isFinal: true,
    });
  });

  it("is told without addresses", () => {
    const { reason } = smtpFailure(reply("550 5.1.1 <ann.o'neil@mail.example.com>: unknown; ask (post@example.com)", toRecipient));
    expect(reason).not.toContain("@");
    expect(reason).not.toContain("mail.example.com");
  });

  it("is told without what was sent as a login, however the server repeats it", () => {
    const password = new Secret("hunter2 & more");
    const said = reply(`535 5.7.8 no: app ${password.reveal()}`, { code: "EAUTH", command: "AUTH PLAIN" });
    expect(smtpFailure(said).reason).toBe("EAUTH 535 5.7.8: the server does not take user and password");
    const later = reply(`554 x ${password.reveal()} y ${Buffer.from(password.reveal()).toString("base64")}`, toMessage);
    expect(smtpFailure(later, [password]).reason).toBe("EMESSAGE 554: 554 x [secret] y [secret]");
  });

  it("is told in brief and at once, whatever the server says", () => {
    const startMs = performance.now();
    const { reason } = smtpFailure(reply(`554 ${"x y@".repeat(50)}${"x".repeat(1_000_000)}`, toMessage));
    expect(reason.length).toBeLessThan(400);
    expect(performance.now() - startMs).toBeLessThan(500);
  });
});
