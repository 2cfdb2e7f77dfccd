import { afterEach, describe, expect, it } from "@jest/globals";
import { z } from "zod";
import { account, anyone } from "#src/kernel/actor";
import { delay } from "#src/kernel/clock";
import { Problem, problem, serviceBusy } from "#src/kernel/problem";
import { RemoteParent } from "#src/kernel/trace-context";
import { currentTraceparent, installTracer, type SpanAttributes } from "#src/kernel/trace";
import { actor, serveApp } from "../../test/kit/http-app.ts";
import { route, type Route } from "./route.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER = `00-${TRACE}-00f067aa0ba902b7-01`;
const OURS = "0af7651916cd43dd8448eb211c80319c";
const gone = problem("test.gone", 410, "It is gone");

afterEach(() => installTracer(undefined));

interface Seen {
  name: string;
  readonly parent: string | undefined;
  attributes: SpanAttributes;
  failed: string | undefined;
}

/** Notes each span that the kit makes. */
function noting(): Seen[] {
  const seen: Seen[] = [];
  installTracer(({ name, attributes = {} }, parent) => {
    const span: Seen = { name, attributes, failed: undefined, parent: parent instanceof RemoteParent ? parent.traceparent : undefined };
    seen.push(span);
    return {
      traceId: OURS,
      traceparent: `00-${OURS}-00f067aa0ba902b7-01`,
      isOpen: true,
      rename: (next) => void (span.name = next),
      set: (more) => void (span.attributes = { ...span.attributes, ...more }),
      fail: (type) => void (span.failed = type),
      end: () => {},
    };
  });
  return seen;
}

function get(path: string, handle: () => Promise<unknown>, needs: Route<unknown>["needs"] = anyone): Route<unknown> {
  return route({
    method: "get",
    path,
    summary: "A test",
    tag: "test",
    ...(path.includes(":") ? { params: z.strictObject({ id: z.string() }) } : {}),
    needs,
    throttle: { name: "test.get", limit: 1_000, windowSeconds: 60 },
    problems: [gone, serviceBusy],
    answers: { 200: { description: "It", body: z.unknown() } },
    handle: async () => ({ status: 200, body: await handle() }),
  } as never) as unknown as Route<unknown>;
}

async function ask(
  url: string,
  headers: Record<string, string> = {},
  method = "GET",
): Promise<{ status: number; body: { traceId?: string } }> {
  const response = await fetch(url, { method, headers: { connection: "close", ...headers } });
  const text = await response.text();
  return { status: response.status, body: text === "" ? {} : (JSON.parse(text) as { traceId?: string }) };
}

describe("a request's span", () => {
  it("is named by the route, tells status and account, and joins the caller's trace", async () => {
    const seen = noting();
    await using app = await serveApp([get("/api/things/:id", () => Promise.resolve(currentTraceparent()), account)]);
    const answer = await ask(`${app.url}/api/things/ann@example.com`, { authorization: "Bearer good", traceparent: CALLER });
    expect(answer).toEqual({ status: 200, body: `00-${OURS}-00f067aa0ba902b7-01` });
    expect(seen).toEqual([
      {
        name: "GET /api/things/:id",
        parent: CALLER,
        failed: undefined,
        attributes: {
          "http.request.method": "GET",
          "http.route": "/api/things/:id",
          "http.response.status_code": 200,
          "enduser.id": actor.userId,
        },
      },
    ]);
  });

  it("has failed when the service did, not when the client did", async () => {
    const seen = noting();
    await using app = await serveApp(
      [
        get("/gone", () => Promise.reject(new Problem(gone))),
        get("/busy", () => Promise.reject(new Problem(serviceBusy))),
        get("/bug", () => Promise.reject(new TypeError("ann@example.com"))),
        get("/slow", () => delay(700)),
      ],
      { deadlineMs: 200 },
    );
    for (const path of ["/gone", "/busy", "/bug", "/slow", "/nothing"]) await ask(`${app.url}${path}`);
    expect(
      seen.map((span) => [span.name, span.attributes["http.response.status_code"], span.attributes["problem.code"], span.failed]),
    ).toEqual([
      ["GET /gone", 410, "test.gone", undefined],
      ["GET /busy", 503, "service.busy", "service.busy"],
      ["GET /bug", 500, "service.internal_error", "service.internal_error"],
      ["GET /slow", 503, "service.deadline_passed", "service.deadline_passed"],
      ["GET", 404, "route.not_found", undefined],
    ]);
  });

  it("gives its trace id to refusals and log lines", async () => {
    noting();
    await using app = await serveApp([get("/bug", () => Promise.reject(new Error("x")))]);
    expect((await ask(`${app.url}/bug`)).body.traceId).toBe(OURS);
    expect(app.lines.map((line) => line.fields["traceId"])).toEqual([OURS]);
  });

  it.each(["/health", "/health/ready", "/healthz", "/metrics", "/events/x", "/dapr/config"])("is not made for %s", async (path) => {
    const seen = noting();
    await using app = await serveApp([]);
    await ask(`${app.url}${path}`, { traceparent: CALLER });
    expect(seen).toEqual([]);
  });

  it("takes no name from a client: neither a method nor a path", async () => {
    const seen = noting();
    await using app = await serveApp([]);
    await ask(`${app.url}/metrics-of-ann@example.com?q=bob@example.com`, {}, "PROPFIND");
    expect(seen).toMatchObject([{ name: "HTTP", attributes: { "http.request.method": "_OTHER", "http.response.status_code": 404 } }]);
    expect(JSON.stringify(seen)).not.toContain("example.com");
  });
});

describe("without a tracer", () => {
  it("the caller's trace is carried, and there is none without", async () => {
    await using app = await serveApp([get("/x", () => Promise.resolve(currentTraceparent() ?? "none"))]);
    expect((await ask(`${app.url}/x`, { traceparent: CALLER })).body).toBe(CALLER);
    expect((await ask(`${app.url}/x`)).body).toBe("none");
    expect((await ask(`${app.url}/x`, { traceparent: "nonsense" })).body).toBe("none");
  });
});
