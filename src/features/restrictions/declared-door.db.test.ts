/** Declarations through the sidecar listener itself: what is asked wrongly is refused, never a 500, and leaves nothing. */

import { describe, expect, it } from "@jest/globals";
import { createServer } from "#src/http/server";
import { createSidecarApp } from "#src/http/sidecar-app";
import { row, rows, sql } from "#src/db/sql";
import { silentLog } from "#src/kernel/log";
import { Secret } from "#src/kernel/secret";
import { endOf, wishOf } from "../../../test/kit/declarations.ts";
import { people } from "../../../test/kit/people.ts";
import { sessionKit, type SessionKit } from "../../../test/kit/sessions.ts";
import { restrictionsInternalRoutes } from "./restrictions.internal.routes.ts";

const BAN = "/internal/restrictions/kubernetes/prod:team-a:ann";
const nobody = { id: "019abc00-0000-7000-8000-000000000001" };

interface Reply {
  readonly status: number;
  readonly body: {
    readonly code?: string;
    readonly detail?: string;
    readonly outcome?: string;
    readonly conflictsWith?: object;
    readonly errors?: readonly { readonly path: string }[];
    readonly data?: readonly object[];
  };
}

interface Door extends AsyncDisposable {
  readonly ask: (method: string, path: string, body?: unknown, caller?: string) => Promise<Reply>;
}

async function openDoor(kit: SessionKit): Promise<Door> {
  const app = createSidecarApp({
    appToken: new Secret("token"),
    events: { subscriptionDocument: () => [], deliveries: () => new Map() },
    routes: restrictionsInternalRoutes,
    deps: { ...kit, revocationsSettled: () => Promise.resolve() },
    clock: kit.clock,
    log: silentLog,
    metrics: { httpRequest: () => {}, unexpectedError: () => "fingerprint" },
    production: false,
  });
  const served = createServer(app.listener);
  const port = await served.listen(0, "127.0.0.1");
  return {
    ask: async (method, path, body, caller = "user-service-controller") => {
      const headers = { "dapr-api-token": "token", "dapr-caller-app-id": caller, "content-type": "application/json", connection: "close" };
      const response = await fetch(`http://127.0.0.1:${port}${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, body: (await response.json()) as Reply["body"] };
    },
    [Symbol.asyncDispose]: async () => {
      served.server.closeAllConnections();
      await served.drain(0);
    },
  };
}

describe("the door for declarations", () => {
  it("takes, gives, lists and ends them, and ignores fields of a later version", async () => {
    await using kit = await sessionKit();
    await using door = await openDoor(kit);
    const { ann } = await people(kit.db, { ann: {} });
    const wish = { ...wishOf({ user: { id: ann.id.toUpperCase() } }), inventedLater: { deep: [1] } };
    expect(await door.ask("PUT", BAN, wish)).toMatchObject({ status: 200, body: { outcome: "imposed" } });
    expect(await door.ask("PUT", BAN, wish)).toMatchObject({ status: 200, body: { outcome: "unchanged" } });
    expect(await door.ask("GET", BAN)).toMatchObject({ status: 200, body: { state: "active", userId: ann.id } });
    expect((await door.ask("GET", "/internal/restrictions/kubernetes?limit=1&unknown=x")).body.data).toHaveLength(1);
    const rival = await door.ask("PUT", `${BAN}-2`, wishOf({ uid: "uid-2", user: { username: "ann" } }));
    expect(rival).toMatchObject({ status: 409, body: { code: "restriction.conflict", conflictsWith: { externalId: "prod:team-a:ann" } } });
    expect(rival.body.detail).toContain("prod:team-a:ann");
    expect(await door.ask("DELETE", BAN, endOf())).toMatchObject({ status: 200, body: { outcome: "lifted" } });
    expect(await door.ask("PUT", BAN, wish)).toMatchObject({ status: 409, body: { code: "restriction.superseded" } });
    expect(await door.ask("GET", `${BAN}-3`)).toMatchObject({ status: 404, body: { code: "restriction.not_found" } });
    expect(await door.ask("PUT", BAN, wish, "social-service")).toMatchObject({ status: 403 });
    expect(await door.ask("PUT", "/internal/restrictions/terraform/x", wish)).toMatchObject({
      status: 403,
      body: { code: "restriction.foreign_source" },
    });
  });

  it.each<[string, object, string]>([
    ["no account", { user: {} }, "body.user"],
    ["two forms of account", { user: { username: "ann", email: "ann@example.com" } }, "body.user"],
    ["an unknown form beside a known one", { user: { username: "ann", phone: "1" } }, "body.user.phone"],
    ["an address that is none", { user: { email: "ann at example.com" } }, "body.user.email"],
    ["an address in another script", { user: { email: "änn@example.com" } }, "body.user.email"],
    ["a hash in capitals", { user: { emailHash: "A".repeat(64) } }, "body.user.emailHash"],
    ["a reason of 10,000 characters", { reason: "x".repeat(10_000) }, "body.reason"],
    ["a reason of blanks", { reason: " \n " }, "body.reason"],
    ["a message that turns the direction of text", { message: "abc\u202edef" }, "body.message"],
    ["a message with a bell", { message: "ding\u0007" }, "body.message"],
    ["a NUL", { requestedBy: "jane\u0000" }, "body.requestedBy"],
    ["half a surrogate pair", { reason: "\ud800" }, "body.reason"],
    ["a uid with a blank", { uid: "uid 1" }, "body.uid"],
    ["no generation", { generation: undefined }, "body.generation"],
    ["a generation of half a version", { generation: 1.5 }, "body.generation"],
    ["a generation that is no safe number", { generation: 2 ** 60 }, "body.generation"],
    ["a moment that is none", { startsAt: "2026-13-01T00:00:00Z" }, "body.startsAt"],
    ["an offset that is none", { createdAt: "2026-01-01T00:00:00+25:00" }, "body.createdAt"],
    ["an end in the past", { expiresAt: "2020-01-01T00:00:00Z" }, "body.expiresAt"],
    ["an end before the start", { startsAt: "2030-01-02T00:00:00Z", expiresAt: "2030-01-01T00:00:00Z" }, "body.expiresAt"],
    ["a start in the far future", { startsAt: "9999-01-01T00:00:00Z" }, "body.startsAt"],
    ["two ends", { expiresAt: "2030-01-01T00:00:00Z", durationSeconds: 60 }, "body.durationSeconds"],
    ["a duration of ages", { durationSeconds: 1e12 }, "body.durationSeconds"],
    ["a suspension without end", { kind: "suspend" }, "body.expiresAt"],
    ["a limit of nothing", { kind: "limit" }, "body.capabilities"],
    ["a capability that is none", { kind: "limit", capabilities: ["fly"] }, "body.capabilities[0]"],
    ["a ban of capabilities", { capabilities: ["post"] }, "body.capabilities"],
    ["an unknown kind", { kind: "exile" }, "body.kind"],
  ])("refuses %s", async (_what, wrong, path) => {
    await using kit = await sessionKit();
    await using door = await openDoor(kit);
    await people(kit.db, { ann: {} });
    const { status, body } = await door.ask("PUT", BAN, { ...wishOf({ user: { username: "ann" } }), ...wrong });
    expect({ status, code: body.code }).toEqual({ status: 400, code: "input.invalid" });
    expect(body.errors?.map((one) => one.path)).toContain(path);
    expect(await rows(kit.db, sql`select uid from declared_restrictions`)).toEqual([]);
    expect(await row(kit.db, sql`select status from users`)).toEqual({ status: "active" });
  });

  it("takes the odd but right, and keeps it", async () => {
    await using kit = await sessionKit();
    await using door = await openDoor(kit);
    await people(kit.db, { ann: {} });
    const odd = {
      createdAt: "0000-01-01T00:00:00.123456789Z",
      generation: Number.MAX_SAFE_INTEGER,
      uid: "x".repeat(128),
      reason: `'; drop table users; -- ${"\u{1f600}".repeat(100)}`,
      message: "one\r\ntwo \\u0000 %s ${x} <b>",
      startsAt: "2001-01-01T00:00:00+14:00",
      requestedBy: "system:serviceaccount:team-a:argocd",
    };
    const path = `/internal/restrictions/kubernetes/${"a".repeat(512)}`;
    expect(await door.ask("PUT", path, { ...wishOf({ user: { username: "Ann" } }), ...odd })).toMatchObject({ status: 200 });
    expect(await door.ask("PUT", path, { ...wishOf({ user: { username: "Ann" } }), ...odd })).toMatchObject({
      status: 200,
      body: { outcome: "unchanged" },
    });
    expect(await door.ask("DELETE", path, endOf({ ...odd, note: "`done` — \u{1f44d}" }))).toMatchObject({
      status: 200,
      body: { outcome: "lifted" },
    });
  });

  it.each([
    ["PUT", "/internal/restrictions/Kubernetes/x", 400],
    ["PUT", `/internal/restrictions/kubernetes/${"a".repeat(513)}`, 400],
    ["PUT", "/internal/restrictions/kubernetes/a%20b", 400],
    ["PUT", "/internal/restrictions/kubernetes/a;b", 400],
    ["GET", "/internal/restrictions/kubernetes?limit=0", 400],
    ["GET", "/internal/restrictions/kubernetes?limit=x", 400],
    ["GET", "/internal/restrictions/kubernetes?after=%00", 400],
    ["POST", "/internal/restrictions/kubernetes/x", 405],
  ])("refuses %s %s with %i", async (method, path, expected) => {
    await using kit = await sessionKit();
    await using door = await openDoor(kit);
    const body = method === "GET" ? undefined : wishOf({ user: nobody });
    expect((await door.ask(method, path, body)).status).toBe(expected);
  });

  it("refuses a DELETE without what it needs", async () => {
    await using kit = await sessionKit();
    await using door = await openDoor(kit);
    for (const wrong of [undefined, {}, { ...endOf(), policy: "forget" }, { ...endOf(), note: "\u202e" }, { ...endOf(), generation: 0 }]) {
      expect((await door.ask("DELETE", BAN, wrong)).status).toBe(400);
    }
    expect(await rows(kit.db, sql`select uid from declared_restrictions`)).toEqual([]);
  });
});
