/** One's own trusted devices over REST. */

import { z } from "zod";
import { route } from "#src/http/route";
import { endAction, listAction } from "./sessions.actions.ts";
import { trustedDeviceNotFound } from "./sessions.errors.ts";
import { sessionParams } from "./sessions.schemas.ts";
import { trustedDeviceSchema } from "./sessions.views.ts";
import { forgetTrustedDevice, forgetTrustedDevices, listTrustedDevices } from "./trusted-devices.ts";

type Deps = Parameters<typeof forgetTrustedDevice>[0];

const own = { kind: "account" } as const;

export const trustedDevicesRoutes = [
  route({
    method: "get",
    path: "/api/auth/trusted-devices",
    tag: "auth",
    summary: "The devices that the account's second factor is not asked for on, newest first",
    answers: { 200: { description: "At most 20", body: z.object({ data: z.array(trustedDeviceSchema) }) } },
    problems: [],
    throttle: listAction,
    needs: own,
    handle: async (deps: Deps, { actor }) => ({ status: 200, body: { data: await listTrustedDevices(deps, actor) } }),
  }),
  route({
    method: "delete",
    path: "/api/auth/trusted-devices",
    tag: "auth",
    summary: "Trust none of the account's devices any more",
    description: "Sessions stay. The next sign-in on each of them asks for the second factor.",
    answers: { 200: { description: "How many there were", body: z.object({ devicesForgotten: z.number().int() }) } },
    problems: [],
    throttle: endAction,
    needs: own,
    handle: async (deps: Deps, { actor }) => ({ status: 200, body: await forgetTrustedDevices(deps, actor) }),
  }),
  route({
    method: "delete",
    path: "/api/auth/trusted-devices/:id",
    tag: "auth",
    summary: "Trust one of the account's devices no more",
    params: sessionParams,
    answers: { 204: { description: "The next sign-in on it asks for the second factor" } },
    problems: [trustedDeviceNotFound],
    throttle: endAction,
    needs: own,
    handle: async (deps: Deps, { actor, params }) => {
      await forgetTrustedDevice(deps, { actor, id: params.id });
      return { status: 204 };
    },
  }),
];
