import { expect } from "@jest/globals";
import type { ProblemBody } from "../../kit/http-client.ts";
import { logIn, makeStaff, type SignedIn } from "../../kit/service.ts";
import { ConnectRefused } from "../../kit/socket-client.ts";
import { IMPERSONATION } from "../../stories/impersonation-matrix.ts";
import { rowsOf, told } from "../row.ts";
import type { Target } from "../target.ts";

const NOBODY = "019abc00-0000-7000-8000-000000000001";

async function newAdmin(target: Target): Promise<SignedIn> {
  const person = await target.newcomer();
  await makeStaff(target.database, person, "admin");
  return await logIn(target.api.http, person.username);
}

/** An admin's token for somebody's place. */
async function begun(target: Target, admin: SignedIn, { id }: SignedIn): Promise<string> {
  const body = { reason: "asked for help with their feed" };
  const answer = await target.api.http.post<ProblemBody & { accessToken: string }>(
    `/api/admin/users/${id}/impersonate`,
    body,
    admin.accessToken,
  );
  expect(told(answer)).toBe("201");
  return answer.body.accessToken;
}

export const impersonationRows = rowsOf("impersonation", [
  [
    "its token at every door that is closed to it",
    async (target) => {
      const [admin, person] = [await newAdmin(target), await target.newcomer()];
      const token = await begun(target, admin, person);
      const closed = Object.entries(IMPERSONATION).flatMap(([door, decision]) =>
        decision === "refused" && / \//.test(door) ? [door] : [],
      );
      expect(closed.length).toBeGreaterThan(20);
      for (const door of closed) {
        const [method = "", declared = ""] = door.split(" ");
        const sending = { token, ...(method === "GET" || method === "DELETE" ? {} : { body: {} }) };
        const answer = await target.api.http.send(method, declared.replaceAll(/\{\w+\}/g, NOBODY), sending);
        expect([door, told(answer)]).toEqual([door, "403 impersonation.refused"]);
      }
    },
  ],
  [
    "of an admin, of oneself, by who is no admin, in somebody's place",
    async (target) => {
      const [admin, boss, person, other] = [
        await newAdmin(target),
        await newAdmin(target),
        await target.newcomer(),
        await target.newcomer(),
      ];
      const token = await begun(target, admin, person);
      const ask = async (id: string, by: string): Promise<string> =>
        told(await target.api.http.post(`/api/admin/users/${id}/impersonate`, { reason: "asked for help with it" }, by));
      expect(await ask(boss.id, admin.accessToken)).toBe("403 role.insufficient");
      expect(await ask(admin.id, admin.accessToken)).toBe("403 admin.own_account");
      expect(await ask(other.id, person.accessToken)).toBe("403 access.denied");
      expect(await ask(other.id, token)).toBe("403 impersonation.refused");
    },
  ],
  [
    "its token and its sockets after the admin's logout, at both processes",
    async (target) => {
      const [admin, person] = [await newAdmin(target), await target.newcomer()];
      const token = await begun(target, admin, person);
      using socket = await target.guarded.socket(token);
      for (const { http } of [target.api, target.guarded]) expect(told(await http.get("/api/users/me", token))).toBe("200");
      expect(told(await target.api.http.post("/api/auth/logout", undefined, admin.accessToken))).toBe("204");
      await socket.closes();
      for (const at of [target.api, target.guarded]) {
        expect(told(await at.http.get("/api/users/me", token))).toBe("401 session.revoked");
        expect(told(await at.http.graphql("{ me { id } }", token))).toMatch(/session.revoked$/);
        const refused: unknown = await at.socket(token).catch((error: unknown) => error);
        expect(refused).toBeInstanceOf(ConnectRefused);
      }
      expect(told(await target.api.http.get("/api/users/me", person.accessToken))).toBe("200");
    },
  ],
]);
