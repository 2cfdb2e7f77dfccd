import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { httpInvoke, startDeclaredApp, type DeclaredApp } from "../../test/kit/declared-app.ts";
import { createRestrictionsApi, type Invoke } from "./restrictions.ts";

const wish = {
  uid: "u",
  generation: 1,
  createdAt: "2026-11-26T10:00:00.000Z",
  user: { username: "bob" },
  kind: "ban",
  reason: "spam",
  requestedBy: "ann",
  staffAllowed: false,
} as const;
const call = { signal: new AbortController().signal };
const answering = (status: number, body: unknown) =>
  createRestrictionsApi({ invoke: () => Promise.resolve({ status, body }), appId: "a", source: "s", timeoutMs: 1_000 });

describe("the client of declared restrictions", () => {
  let app: DeclaredApp;
  const api = (invoke: Invoke = httpInvoke(app.url), timeoutMs = 5_000) =>
    createRestrictionsApi({ invoke, appId: "user-service", source: "kubernetes", timeoutMs });

  beforeAll(async () => {
    app = await startDeclaredApp();
    app.addUser({ username: "bob" });
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    app.mood = "well";
  });

  it("declares, reads, lists and ends by the contract", async () => {
    expect(await api().put("c:n:b", wish, { ...call, traceparent: "00-1" })).toMatchObject({
      kind: "answer",
      answer: { outcome: "imposed" },
    });
    expect(app.calls.at(-1)).toMatchObject({ method: "PUT", externalId: "c:n:b", traceparent: "00-1" });
    expect(await api().get("c:n:b", call)).toMatchObject({ kind: "answer", answer: { state: "active" } });
    expect(await api().list(call)).toMatchObject({ kind: "answer", answer: [{ externalId: "c:n:b" }] });
    const end = { uid: "u", generation: 1, createdAt: wish.createdAt, policy: "lift", note: "gone" } as const;
    expect(await api().end("c:n:b", end, call)).toMatchObject({ kind: "answer", answer: { outcome: "lifted" } });
  });

  it("reads every page of the list", async () => {
    for (let index = 0; index < 501; index += 1) {
      app.addUser({ username: `p${index}` });
      app.declare(`c:p:${index}`, { ...wish, user: { username: `p${index}` } });
    }
    const listed = await api().list(call);
    expect(listed.kind === "answer" && listed.answer.length).toBe(501);
  });

  it("tells a refusal of the service from one of the mesh", async () => {
    expect(await api().put("c:n:x", { ...wish, user: { username: "nobody" } }, call)).toMatchObject({
      kind: "refused",
      code: "user.not_found",
    });
    for (const [status, body] of [
      [403, { errorCode: "ERR_DIRECT_INVOKE", message: "access control policy has denied access" }],
      [404, undefined],
      [403, { code: "restriction.foreign_source" }],
      [401, "unauthorized"],
      [429, { code: "service.busy" }],
      [500, { code: "user.not_found" }],
      [302, undefined],
    ] as const)
      expect(await answering(status, body).put("x", wish, call)).toMatchObject({ kind: "unreachable" });
  });

  it.each(["failing", "garbage", "silent"] as const)("takes a service that is %s for one that is away", async (mood) => {
    app.mood = mood;
    const outcome = await api(httpInvoke(app.url), mood === "silent" ? 200 : 5_000).put("c:n:y", wish, call);
    expect(outcome).toMatchObject({ kind: "unreachable" });
    expect(JSON.stringify(outcome)).not.toContain("html");
  });

  it("tells why a sidecar refused, and none of its words", async () => {
    const refused = Object.assign(new Error("10.0.0.1 says no"), { name: "DaprRefused", reason: "token" });
    const outcome = await api(() => Promise.reject(refused)).put("x", wish, call);
    expect(outcome).toEqual({ kind: "unreachable", error: "could not be reached (DaprRefused: token)" });
  });

  it("does not follow a list that goes in circles, nor believe an answer of another shape", async () => {
    expect(await answering(200, { data: [], nextAfter: "a" }).list(call)).toMatchObject({ kind: "unreachable" });
    expect(await answering(200, { outcome: "imposed" }).put("x", wish, call)).toMatchObject({ kind: "unreachable" });
    expect(await api(httpInvoke("http://127.0.0.1:1")).get("x", call)).toMatchObject({ kind: "unreachable" });
  });
});
