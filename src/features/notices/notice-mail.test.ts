import { describe, expect, it } from "@jest/globals";
import { LOCALES } from "#src/kernel/locale";
import type { MailParts } from "#src/mail/letter";
import * as mail from "./notice-mail.ts";
import { noticeTypes, type NoticeContent } from "./notices.content.ts";

const id = "019abc00-0000-7000-8000-000000000001";

function noticeMail(content: NoticeContent, displayName: string): MailParts {
  return mail.noticeMail(content, { displayName, locale: "en" });
}

function imposed(more: object = {}): NoticeContent {
  return {
    type: "restriction.imposed",
    data: {
      restrictionId: id,
      kind: "suspend",
      reason: "harassment",
      message: null,
      capabilities: [],
      startsAt: "2026-11-24T15:00:00.000Z",
      expiresAt: "2026-12-01T15:04:00.000Z",
      ...more,
    },
  };
}

describe("the mail of a notice", () => {
  it("says what happened, why and until when, in text and in HTML", () => {
    const mail = noticeMail(imposed(), "Ann");
    expect(mail.subject).toBe("Your account has been suspended");
    for (const part of [mail.text, mail.html]) {
      expect(part).toContain("Hello Ann,");
      expect(part).toContain("Harassment of others");
      expect(part).toContain("2026-12-01 15:04 UTC");
    }
  });

  it("says that a ban without end has none", () => {
    expect(noticeMail(imposed({ kind: "ban", expiresAt: null }), "Ann").text).toContain("It has no end date.");
  });

  it("names what a limit takes away", () => {
    expect(noticeMail(imposed({ kind: "limit", capabilities: ["post", "be_found"] }), "Ann").text).toContain(
      "you cannot post, be found in search",
    );
  });

  it("quotes the moderator's words, whole and harmless", () => {
    const mail = noticeMail(imposed({ message: "First line\n<img src=x onerror=alert(1)> & more" }), `<b>"Ann"</b>`);
    expect(mail.text).toContain("> First line\n> <img src=x onerror=alert(1)> & more");
    expect(mail.html).toContain("First line<br>&lt;img src=x onerror=alert(1)&gt; &amp; more");
    expect(mail.html).toContain("Hello &lt;b&gt;&quot;Ann&quot;&lt;/b&gt;,");
    expect(mail.html).not.toMatch(/<img|<b>/);
  });

  it("tells of an ended and of a lifted restriction", () => {
    expect(noticeMail({ type: "restriction.ended", data: { restrictionId: id, kind: "suspend" } }, "Ann").text).toContain("suspension");
    expect(noticeMail({ type: "restriction.lifted", data: { restrictionId: id, kind: "ban" } }, "Ann").subject).toContain("lifted");
  });

  it("tells of a stolen refresh token, and of which device", () => {
    const mail = noticeMail({ type: "security.refresh_reuse", data: { sessionId: id, device: "Firefox <on> Linux" } }, "Ann");
    expect(mail.text).toContain("Firefox <on> Linux");
    expect(mail.html).toContain("Firefox &lt;on&gt; Linux");
    expect(noticeMail({ type: "security.refresh_reuse", data: { sessionId: id, device: null } }, "Ann").text).toContain(
      "change your password",
    );
  });

  it("tells of a sign-in from a new device: which one, and from where", () => {
    const mail = noticeMail(
      { type: "security.new_device", data: { sessionId: id, device: "Firefox on Windows", address: "192.0.2.7" } },
      "Ann",
    );
    expect(mail.text).toContain("Firefox on Windows. The address: 192.0.2.7.");
    expect(mail.text).toContain("reset your password");
  });

  it("is written in the reader's language", () => {
    const hungarian = mail.noticeMail(imposed({ message: "Kérlek." }), { displayName: "Anna", locale: "hu" });
    expect(hungarian.subject).toBe("A fiókodat felfüggesztettük");
    expect(hungarian.text).toContain("Kedves Anna!");
    expect(hungarian.text).toContain("> Kérlek.");
    expect(hungarian.html).toContain('<html lang="hu">');
  });

  it.each(LOCALES)("has words for everything there is to tell: %s", (locale) => {
    const contents: NoticeContent[] = [
      imposed({ kind: "limit", capabilities: ["post", "follow"] }),
      { type: "restriction.ended", data: { restrictionId: id, kind: "ban" } },
      { type: "restriction.lifted", data: { restrictionId: id, kind: "limit" } },
      { type: "security.refresh_reuse", data: { sessionId: id, device: null } },
      { type: "security.password_changed", data: { how: "reset", sessionsRevoked: 2 } },
      { type: "security.email_changed", data: { how: "changed" } },
      { type: "security.factor_added", data: { factor: "totp" } },
      { type: "security.factor_removed", data: { factor: "totp" } },
      { type: "security.recovery_code_used", data: { left: 9 } },
      { type: "security.recovery_codes_renewed", data: {} },
      { type: "security.passkey_copied", data: { name: "Key" } },
      { type: "security.identity_linked", data: { provider: "Example" } },
      { type: "security.identity_unlinked", data: { provider: "Example" } },
      { type: "security.roles_changed", data: { roles: ["user"] } },
      { type: "security.new_device", data: { sessionId: id, device: null, address: "192.0.2.7" } },
      { type: "follow.started", data: { userId: id } },
      { type: "follow.requested", data: { userId: id } },
      { type: "follow.accepted", data: { userId: id } },
      { type: "security.username_changed", data: { from: "ann", to: "anna" } },
      { type: "security.impersonated", data: { sessionId: id, expiresAt: "2026-11-24T15:10:00.000Z" } },
    ];
    expect(contents).toHaveLength(noticeTypes.length);
    for (const content of contents) {
      const { subject, text, html } = mail.noticeMail(content, { displayName: "Ann", locale });
      expect(`${subject}${text}${html}`).not.toMatch(/undefined|null|\[object/);
    }
  });

  it("has subjects of one line that hold nothing users wrote", () => {
    expect(noticeMail(imposed({ message: "x\r\nBcc: all@example.com" }), "a\r\nBcc: b").subject).toMatch(/^[A-Za-z ]+$/);
  });
});
