import { describe, expect, it } from "@jest/globals";
import type { Db } from "#src/db/pool";
import { escapeHtml } from "#src/kernel/html";
import { isAtThisMachine, mailboxPage } from "./mailbox-page.ts";
import { openMailbox } from "./mailbox.ts";

function request(remoteAddress: string, headers: Record<string, string>): Parameters<typeof isAtThisMachine>[0] {
  return { headers, socket: { remoteAddress } };
}

describe("who may read the development mailbox", () => {
  it.each([
    ["127.0.0.1", "localhost:3002"],
    ["127.0.0.1", "127.0.0.1:3002"],
    ["::1", "localhost"],
    ["::ffff:127.0.0.1", "LOCALHOST:80"],
  ])("lets %s that asks for %s read", (address, host) => {
    expect(isAtThisMachine(request(address, { host }))).toBe(true);
  });

  it.each([
    ["another machine", "192.0.2.7", { host: "localhost:3002" }],
    ["another machine, mapped", "::ffff:192.0.2.7", { host: "localhost:3002" }],
    ["an unknown address", "", { host: "localhost:3002" }],
    ["a rebound name", "127.0.0.1", { host: "evil.example:3002" }],
    ["a name that begins alike", "127.0.0.1", { host: "localhost.evil.example" }],
    ["a user part before the name", "127.0.0.1", { host: "evil:fake@localhost" }],
    ["no Host", "127.0.0.1", {}],
    ["a script of a page", "127.0.0.1", { host: "localhost:3002", origin: "http://localhost:5173" }],
    ["a proxy", "127.0.0.1", { host: "localhost:3002", "x-forwarded-for": "192.0.2.7" }],
    ["a proxy of the standard kind", "127.0.0.1", { host: "localhost:3002", forwarded: "for=192.0.2.7" }],
    ["a proxy that keeps the name", "127.0.0.1", { host: "localhost:3002", "x-forwarded-host": "mail.example" }],
  ])("is not there for %s", (_who, address, headers) => {
    expect(isAtThisMachine(request(address, headers as Record<string, string>))).toBe(false);
  });

  it("does not load under NODE_ENV=production", () => {
    const needs = { db: {} as Db, config: { production: true } };
    expect(() => openMailbox(needs)).toThrow("not for NODE_ENV=production");
    expect(() => mailboxPage(needs)).toThrow("not for NODE_ENV=production");
  });
});

describe("escapeHtml", () => {
  it("leaves nothing that HTML reads as anything but text", () => {
    expect(escapeHtml(`<a title="x" id='y'>&amp;</a>`)).toBe("&lt;a title=&quot;x&quot; id=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt;");
  });
});
