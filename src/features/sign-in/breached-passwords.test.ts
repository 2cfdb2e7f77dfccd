import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { delay, systemClock, type Clock } from "#src/kernel/clock";
import { silentLog, type LogFields } from "#src/kernel/log";
import { leaked, sha1Of, startRangeApi, type RangeApi } from "../../../test/kit/range-api.ts";
import { createBreachedPasswords, noBreachedPasswords, type BreachedPasswords } from "./breached-passwords.ts";

const PASSWORD = "a password of a breach";

let api: RangeApi;
let failures = 0;
let nowMs = 0;
let logged: (readonly [LogFields, string])[] = [];
let breached: BreachedPasswords;

const clock: Clock = { ...systemClock, monotonicMs: () => nowMs };
const log = { ...silentLog, warn: (fields: LogFields, message: string) => void logged.push([fields, message]) };
const ask = (url: string): BreachedPasswords => createBreachedPasswords({ url, clock, log, onFailure: () => void (failures += 1) });

beforeEach(async () => {
  [failures, nowMs, logged] = [0, 1, []];
  api = await startRangeApi();
  breached = ask(api.url);
});
afterEach(async () => {
  await breached.close();
  await api[Symbol.asyncDispose]();
});

describe("a range API", () => {
  it("is told five digits and nothing else, and asked for padding", async () => {
    await breached.has(PASSWORD);

    expect(api.asked).toEqual([{ method: "GET", path: `/range/${sha1Of(PASSWORD).slice(0, 5)}`, padding: "true", body: "" }]);
    expect(failures).toBe(0);
  });

  it("knows what leaked once or more; padding and other suffixes are none", async () => {
    api.answer = leaked({ [PASSWORD]: 1, "another one": 5, "in padding": 0 });

    expect(await breached.has(PASSWORD)).toBe(true);
    expect(await breached.has("another one")).toBe(true);
    expect(await breached.has("in padding")).toBe(false);
    expect(await breached.has("never seen")).toBe(false);
  });

  it("is asked for the one spelling that passwords have, and may answer in small letters and bare line feeds", async () => {
    api.answer = (response) => void response.end(`${"0".repeat(35)}:2\n${sha1Of("p\u00e4ssword").slice(5).toLowerCase()}:12\n`);

    expect(await breached.has("pa\u0308ssword")).toBe(true);
  });

  it.each<readonly [string, RangeApi["answer"], string]>([
    ["says 500", (response) => void response.writeHead(500).end(`${sha1Of(PASSWORD).slice(5)}:9`), "it answered 500"],
    ["says 429", (response) => void response.writeHead(429).end(), "it answered 429"],
    ["says something else", (response) => void response.end("<html>Welcome to our hotel</html>"), "not one of a range API"],
    ["says nothing", (response) => void response.end(), "not one of a range API"],
    ["hangs up", (response) => void response.destroy(), "UND_ERR_SOCKET"],
    ["speaks in bytes", (response) => void response.end(Buffer.from([0, 255, 254, 10, 0])), "not one of a range API"],
  ])("that %s refuses no password", async (_what, answer, why) => {
    api.answer = answer;

    expect(await breached.has(PASSWORD)).toBe(false);
    expect(failures).toBe(1);
    expect(logged).toEqual([[{ why: expect.stringContaining(why) }, expect.stringContaining("accepted unasked")]]);
  });

  it.each<readonly [string, RangeApi["answer"]]>([
    ["does not answer", () => {}],
    ["does not come to an end", (response) => void response.write(`${sha1Of(PASSWORD).slice(5)}:9\r\n`)],
    [
      "trickles",
      async (response) => {
        for (let line = 0; line < 30 && !response.destroyed; line += 1) {
          response.write(`${sha1Of(PASSWORD).slice(5)}:9\r\n`);
          await delay(100);
        }
      },
    ],
  ])("that %s is waited for a second", async (_what, answer) => {
    api.answer = answer;
    const startedMs = systemClock.monotonicMs();

    expect(await breached.has(PASSWORD)).toBe(false);
    expect(systemClock.monotonicMs() - startedMs).toBeGreaterThan(900);
    expect(systemClock.monotonicMs() - startedMs).toBeLessThan(2_500);
    expect(logged).toEqual([[{ why: "no answer within 1000 ms" }, expect.anything()]]);
  });

  it("is not read past a megabyte", async () => {
    let sent = 0;
    api.answer = async (response) => {
      const chunk = `${"0".repeat(35)}:1\r\n`.repeat(2_000);
      while (sent < 64 * 1024 * 1024 && !response.destroyed) {
        sent += chunk.length;
        response.write(chunk);
        await delay(1);
      }
    };

    expect(await breached.has(PASSWORD)).toBe(false);
    expect(logged[0]?.[0]).toEqual({ why: "its answer is larger than 1048576 bytes" });
    expect(sent).toBeLessThan(32 * 1024 * 1024);
  });

  it("is not followed to where it points", async () => {
    await using elsewhere = await startRangeApi();
    elsewhere.answer = leaked({ [PASSWORD]: 7 });
    api.answer = (response, prefix) => void response.writeHead(302, { location: `${elsewhere.url}/${prefix}` }).end();

    expect(await breached.has(PASSWORD)).toBe(false);
    expect([elsewhere.asked, failures]).toEqual([[], 1]);
  });

  it("that is gone is complained of once a minute, and counted each time", async () => {
    await breached.close();
    breached = ask("http://127.0.0.1:1/range");

    for (const atMs of [1, 2, 59_999, 60_001, 60_002, 130_000]) {
      nowMs = atMs;
      expect(await breached.has(PASSWORD)).toBe(false);
    }
    expect([failures, logged.length]).toEqual([6, 3]);
  });

  it("leaves nothing of the password in the log", async () => {
    api.answer = (response) => void response.writeHead(500).end();
    await breached.has(PASSWORD);
    await breached.close();
    nowMs += 60_001;
    await breached.has(PASSWORD);

    const text = inspect(logged, { depth: 9 });
    expect(logged).toHaveLength(2);
    for (const part of [PASSWORD, sha1Of(PASSWORD).slice(0, 5), sha1Of(PASSWORD).slice(5, 15), api.url]) expect(text).not.toContain(part);
  });

  it("that is not configured is not asked", async () => {
    expect(await noBreachedPasswords.has(PASSWORD)).toBe(false);
    expect(api.asked).toEqual([]);
  });
});
