/** An acknowledged decision is one that this process has read itself: no route answers before that. */

import { describe, expect, it } from "@jest/globals";
import { row, sql } from "#src/db/sql";
import type { Role } from "#src/kernel/actor";
import { endOf, wishOf } from "../../../test/kit/declarations.ts";
import { people } from "../../../test/kit/people.ts";
import { sessionKit } from "../../../test/kit/sessions.ts";
import { restrictionsInternalRoutes } from "./restrictions.internal.routes.ts";
import { restrictionsRoutes } from "./restrictions.routes.ts";

interface AnyRoute {
  readonly method: string;
  readonly path: string;
  readonly handle: unknown;
}

type Handle = (deps: object, request: object) => Promise<{ readonly body: { readonly id: string } }>;

function handlerOf(routes: readonly AnyRoute[], method: string, path: string): Handle {
  const found = routes.find((one) => one.method === method && one.path.startsWith(path));
  if (found === undefined) throw new Error(`there is no ${method} ${path}`);
  return found.handle as Handle;
}

describe("a route that changed a standing", () => {
  it("answers when the change is committed and this process has read it, and not before", async () => {
    await using kit = await sessionKit();
    const { mod, ann } = await people(kit.db, { mod: { roles: ["user", "moderator"] as Role[] }, ann: {} });
    const statusOf = async (): Promise<string | undefined> =>
      (await row<{ status: string }>(kit.db, sql`select status from users where id = ${ann.id}::uuid`))?.status;

    /** Calls the route with a feed that is slow, and says what was committed when the route began to wait, if it waited for it. */
    const waited = async (handle: Handle, request: object): Promise<{ readonly id: string; readonly whenWaiting: string | undefined }> => {
      const feed = Promise.withResolvers<void>();
      const reached = Promise.withResolvers<string | undefined>();
      const revocationsSettled = async (): Promise<void> => {
        reached.resolve(await statusOf());
        await feed.promise;
      };
      const state = { isAnswered: false };
      const answer = handle({ ...kit, revocationsSettled }, { ...request, log: kit.log }).then((given) => {
        state.isAnswered = true;
        return given;
      });
      const whenWaiting = await Promise.race([reached.promise, answer.then(() => "did not wait")]);
      // Whatever could answer without the feed has done so after a round trip to the database.
      await statusOf();
      expect(state.isAnswered).toBe(false);
      feed.resolve();
      return { id: (await answer).body.id, whenWaiting };
    };

    const actor = { userId: mod.id };
    const imposing = handlerOf(restrictionsRoutes, "post", "/api/moderation/users/:id/restrictions");
    const made = await waited(imposing, { actor, params: { id: ann.id }, body: { kind: "ban", reason: "spam" } });
    expect(made.whenWaiting).toBe("banned");
    const lifting = handlerOf(restrictionsRoutes, "delete", "/api/moderation/restrictions/:id");
    expect((await waited(lifting, { actor, params: { id: made.id }, body: { note: "x" } })).whenWaiting).toBe("active");

    const caller = "user-service-controller";
    const params = { source: "kubernetes", externalId: "a:b:c" };
    const declaring = handlerOf(restrictionsInternalRoutes, "put", "/internal/restrictions");
    expect((await waited(declaring, { caller, params, body: wishOf({ user: { id: ann.id } }) })).whenWaiting).toBe("banned");
    const ending = handlerOf(restrictionsInternalRoutes, "delete", "/internal/restrictions");
    expect((await waited(ending, { caller, params, body: endOf() })).whenWaiting).toBe("active");
  });
});
