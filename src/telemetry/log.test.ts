import { Writable } from "node:stream";
import { describe, expect, it } from "@jest/globals";
import { securityEvent } from "#src/kernel/log";
import { createLog, type LogOptions } from "./log.ts";

function collected(options: Partial<LogOptions> = {}): { readonly log: ReturnType<typeof createLog>; readonly text: () => string } {
  let text = "";
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      text += chunk.toString();
      done();
    },
  });
  const clock = { now: () => new Date("2026-12-24T18:30:05Z"), monotonicMs: () => 0 };
  return { log: createLog({ level: "info", clock, stream, pretty: false, ...options }), text: () => text };
}

describe("the log", () => {
  it("writes one line of JSON an entry: time, level, message, then the fields", () => {
    const { log, text } = collected({ fields: { process: "api" } });
    log.info({ userId: "u1" }, "session revoked");
    log.error({ error: new Error("broken\nin two lines") }, "it failed");
    const lines = text().trimEnd().split("\n");
    expect(lines).toHaveLength(2);
    expect(lines[0]).toBe('{"time":"2026-12-24T18:30:05.000Z","level":"info","message":"session revoked","process":"api","userId":"u1"}');
    expect(JSON.parse(lines[1] ?? "")).toMatchObject({
      level: "error",
      error: { message: "broken\nin two lines", stack: expect.any(String) },
    });
  });

  it("keeps to its level", () => {
    const { log, text } = collected({ level: "warn" });
    log.debug({}, "a");
    log.info({}, "b");
    expect(text()).toBe("");
    log.warn({}, "c");
    expect(text()).toContain('"c"');
  });

  it("hides what must not be told, in fields and in the message", () => {
    const { log, text } = collected();
    log.info({ authorization: "Bearer abc", body: { password: "hunter2" } }, "connect redis://x:hunter2@cache");
    expect(text()).not.toMatch(/hunter2|abc/);
  });

  it("cannot be forged by fields", () => {
    const { log, text } = collected();
    log.info({ level: "error", message: "forged", time: "never", name: 'a\n{"level":"error"}' }, "true");
    expect(JSON.parse(text())).toEqual({
      time: "2026-12-24T18:30:05.000Z",
      level: "info",
      message: "true",
      level_: "error",
      message_: "forged",
      time_: "never",
      name: 'a\n{"level":"error"}',
    });
    expect(text().trimEnd().split("\n")).toHaveLength(1);
  });

  it("carries the security stream", () => {
    const { log, text } = collected();
    securityEvent(log, { kind: "login.failed", address: "192.0.2.1", reason: "wrong_password" });
    expect(JSON.parse(text())).toMatchObject({ securityEvent: true, kind: "login.failed", address: "192.0.2.1" });
  });

  it("is for people on a terminal", () => {
    const { log, text } = collected({ pretty: true });
    log.warn({ port: 3002, error: new Error("why") }, "not so good");
    expect(text()).toMatch(/18:30:05 .*warn.* not so good.* port=3002/);
    expect(text()).toMatch(/Error: why\n +at /);
  });
});
