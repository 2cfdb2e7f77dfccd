import { describe, expect, it } from "@jest/globals";
import { silentLog } from "#src/kernel/log";
import { delay, systemClock } from "#src/kernel/clock";
import { Problem } from "#src/kernel/problem";
import { onDatabase } from "../../../test/kit/service.ts";
import { leaked, startRangeApi, type RangeApi } from "../../../test/kit/range-api.ts";
import { testClient } from "../../../test/kit/sessions.ts";
import { signInKit, type SignInKit } from "../../../test/kit/sign-in.ts";
import { createBreachedPasswords, type BreachedPasswords } from "./breached-passwords.ts";
import { forgotPassword } from "./forgot-password.ts";
import { register } from "./register.ts";
import { requestRegistration } from "./request-registration.ts";
import { changePassword, resetPassword } from "./set-password.ts";

const LEAKED = "a password of a breach";
const client = testClient;

interface Doors {
  readonly deps: SignInKit & { readonly breachedPasswords: BreachedPasswords };
  readonly api: RangeApi;
  /** Everything that sets a password, with this one. */
  readonly all: Readonly<Record<string, (password: string) => Promise<unknown>>>;
}

async function doors(kit: SignInKit, api: RangeApi, breachedPasswords: BreachedPasswords): Promise<Doors> {
  const { user, session } = await kit.registered("ann");
  // Anew each time: a password that was changed voids the links of before.
  const token = async (): Promise<string> => {
    await forgotPassword(kit, { email: "ann@example.com", client });
    return (await kit.mailTo("ann@example.com")).findLast(({ subject }) => subject === "Set a new password")?.token ?? "";
  };
  const deps = { ...kit, breachedPasswords };
  const actor = { userId: user.id, sessionId: session.id, roles: ["user"] } as unknown as Parameters<typeof changePassword>[1]["actor"];
  return {
    deps,
    api,
    all: {
      register: (password) => register(deps, { email: "bob@example.com", username: "bob", password, client }),
      requestRegistration: (password) => requestRegistration(deps, { email: "eve@example.com", username: "eve", password, client }),
      changePassword: (newPassword) => changePassword(deps, { actor, currentPassword: "securepass", newPassword }),
      resetPassword: async (password) => resetPassword(deps, { token: await token(), password, keepSessions: true, client }),
    },
  };
}

describe("a new password", () => {
  it("that leaked is refused at every door that sets one, which uses nothing up, and one that did not is taken", async () => {
    await using stack = new AsyncDisposableStack();
    const [kit, api] = [stack.use(await signInKit()), stack.use(await startRangeApi())];
    const breached = createBreachedPasswords({ url: api.url, clock: systemClock, log: silentLog, onFailure: () => {} });
    stack.defer(() => breached.close());
    const { all } = await doors(kit, api, breached);
    api.answer = leaked({ [LEAKED]: 3 });

    for (const [door, set] of Object.entries(all)) {
      const refusal = await set(LEAKED).catch((error: unknown) => error);
      expect([door, refusal instanceof Problem ? refusal.code : refusal]).toEqual([door, "password.unsuitable"]);
      expect((refusal as Problem).details).toMatchObject({
        detail: expect.stringContaining("data breach"),
        errors: [{ path: door === "changePassword" ? "body.newPassword" : "body.password" }],
      });
    }
    for (const [door, set] of Object.entries(all)) expect([door, await set("another password").then(() => "set")]).toEqual([door, "set"]);
    expect(api.asked).toHaveLength(8);
  });

  it("is asked about outside of any transaction", async () => {
    await using stack = new AsyncDisposableStack();
    const [kit, api] = [stack.use(await signInKit()), stack.use(await startRangeApi())];
    const breached = createBreachedPasswords({ url: api.url, clock: systemClock, log: silentLog, onFailure: () => {} });
    stack.defer(() => breached.close());
    const { all } = await doors(kit, api, breached);
    const open: unknown[] = [];
    api.answer = async (response, prefix) => {
      // Those of jobs in the background are over by then.
      await delay(200);
      open.push(
        ...(await onDatabase(
          kit.database.adminUrl,
          "select query from pg_stat_activity where datname = current_database() and xact_start < now() - interval '150 ms'",
        )),
      );
      await leaked({})(response, prefix);
    };

    for (const set of Object.values(all)) await set("another password");

    expect(api.asked).toHaveLength(4);
    expect(open).toEqual([]);
  });

  it("that anybody would guess is refused without asking", async () => {
    await using stack = new AsyncDisposableStack();
    const [kit, api] = [stack.use(await signInKit()), stack.use(await startRangeApi())];
    const breached = createBreachedPasswords({ url: api.url, clock: systemClock, log: silentLog, onFailure: () => {} });
    stack.defer(() => breached.close());
    const { all } = await doors(kit, api, breached);

    for (const set of Object.values(all)) await expect(set("trustno1")).rejects.toMatchObject({ code: "password.unsuitable" });
    expect(api.asked).toEqual([]);
  });
});
