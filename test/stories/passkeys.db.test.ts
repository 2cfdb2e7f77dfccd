/** Passkeys against running processes: from adding one to signing in by it, and what anybody may send in its place. */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import type { AuthenticationResponse, CreationOptions, RegistrationResponse, RequestOptions } from "#src/features/factors/passkeys.schemas";
import { createAuthenticator, type Authenticator } from "../kit/authenticator.ts";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import type { Answer, ProblemBody } from "../kit/http-client.ts";
import {
  logIn,
  makeStaff,
  onDatabase,
  registerPerson,
  startApiProcess,
  type ApiProcess,
  type SignedIn,
  type SignedInBody,
} from "../kit/service.ts";

const stack = new AsyncDisposableStack();
let database: TestDatabase;
let api: ApiProcess;
let person: SignedIn;
let device: Authenticator;
let passkeyId: string;

const ORIGIN = "https://app.example.com";

beforeAll(async () => {
  database = stack.use(await cloneDatabase());
  api = stack.use(
    await startApiProcess({ database, env: { PUBLIC_URL: "https://id.example.com", CORS_ORIGINS: ORIGIN, WEBAUTHN_RP_ID: "example.com" } }),
  );
  person = await registerPerson(api.http, "ann");
  device = createAuthenticator({ origin: ORIGIN });
  const body = { name: "Telephone", response: device.create(await creation()) };
  const answer = await api.http.post<{ passkey: { id: string }; recoveryCodes: string[] }>("/api/auth/passkeys", body, person.accessToken);
  expect([answer.status, answer.body.recoveryCodes.length]).toEqual([201, 10]);
  passkeyId = answer.body.passkey.id;
}, 60_000);
afterAll(() => stack.disposeAsync());

async function creation(): Promise<CreationOptions> {
  return (await api.http.post<CreationOptions>("/api/auth/passkeys/options", undefined, person.accessToken)).body;
}

async function request(): Promise<RequestOptions> {
  return (await api.http.post<RequestOptions>("/api/auth/passkeys/login/options")).body;
}

const enter = (response: unknown): Promise<Answer<SignedInBody & ProblemBody>> =>
  api.http.post<SignedInBody & ProblemBody>("/api/auth/passkeys/login", { response });

describe("a passkey", () => {
  it("is of the site that the configuration says, and what it is asked tells nothing of accounts", async () => {
    const [first, second] = [await request(), await request()];
    expect(first).toMatchObject({ rpId: "example.com", allowCredentials: [] });
    expect({ ...first, challenge: "" }).toEqual({ ...second, challenge: "" });
    expect(first.challenge).not.toBe(second.challenge);
  });

  it("signs in, is listed and named, and stands in for a code after the password", async () => {
    const { status, body } = await enter(device.get(await request()));
    expect([status, body.user.id]).toEqual([200, person.id]);
    const path = `/api/auth/passkeys/${passkeyId}`;
    expect((await api.http.send("PATCH", path, { token: body.accessToken, body: { name: "Old one" } })).status).toBe(200);
    const listed = await api.http.get<{ data: { id: string; name: string }[] }>("/api/auth/passkeys", body.accessToken);
    expect(listed.body.data).toMatchObject([{ id: passkeyId, name: "Old one" }]);
    const refused = await api.http.post<{ code: string; mfa: { challenge: string } }>("/api/auth/login", {
      emailOrUsername: "ann",
      password: person.password,
    });
    expect(refused.body.code).toBe("mfa.required");
    const { challenge } = refused.body.mfa;
    const options = await api.http.post<RequestOptions>("/api/auth/mfa/passkey/options", { challenge });
    const answered = await api.http.post<SignedInBody>("/api/auth/mfa/passkey", { challenge, response: device.get(options.body) });
    expect([answered.status, answered.body.user.id]).toEqual([200, person.id]);
  });

  it("is one session's for each challenge, however many answers come at once", async () => {
    const options = await request();
    const answers = await Promise.all(Array.from({ length: 4 }, () => enter(device.get(options))));
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 400, 400, 400]);
  });

  it("is refused in pieces, with 400 and without a word in the log", async () => {
    const shapes: unknown[] = [
      undefined,
      null,
      1,
      "x",
      [],
      {},
      { id: passkeyId },
      { id: "!", rawId: "!", type: "public-key", response: {} },
    ];
    for (const shape of shapes) expect((await enter(shape)).status).toBe(400);
    const right = device.get(await request());
    const made = createAuthenticator({ origin: ORIGIN }).create(await creation());
    const garbage = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.json().map((text) => Buffer.from(text)),
    );
    await fc.assert(
      fc.asyncProperty(
        garbage.map((bytes) => Buffer.from(bytes).toString("base64url")),
        fc.constantFrom("clientDataJSON", "authenticatorData", "signature", "attestationObject"),
        async (text, field) => {
          if (field !== "attestationObject")
            expect((await enter({ ...right, response: { ...right.response, [field]: text } })).status).toBe(400);
          if (field === "authenticatorData" || field === "signature") return;
          const response = { ...made, response: { ...made.response, [field]: text } };
          expect((await api.http.post("/api/auth/passkeys", { name: "x", response }, person.accessToken)).status).toBe(400);
        },
      ),
      { numRuns: 150 },
    );
    expect(api.errors()).toEqual([]);
  });

  it("is refused with any byte of it changed", async () => {
    const right: AuthenticationResponse = device.get(await request());
    const made: RegistrationResponse = createAuthenticator({ origin: ORIGIN }).create(await creation());
    const attestation = Buffer.from(made.response.attestationObject, "base64url");
    for (const field of ["authenticatorData", "signature", "clientDataJSON"] as const) {
      const bytes = Buffer.from(right.response[field], "base64url");
      for (let at = 0; at < bytes.length; at += 3) {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ 1;
        const { status } = await enter({ ...right, response: { ...right.response, [field]: changed.toString("base64url") } });
        expect([field, at, status]).toEqual([field, at, 400]);
      }
    }
    // Cut short at any byte; what is changed inside may still be a passkey, of another key.
    for (let length = 1; length < attestation.length; length += 1) {
      const response = {
        ...made,
        response: { ...made.response, attestationObject: attestation.subarray(0, length).toString("base64url") },
      };
      expect([length, (await api.http.post("/api/auth/passkeys", { name: "x", response }, person.accessToken)).status]).toEqual([
        length,
        400,
      ]);
    }
    // Neither was used up by all that.
    expect((await enter(right)).status).toBe(200);
    expect((await api.http.post("/api/auth/passkeys", { name: "x", response: made }, person.accessToken)).status).toBe(201);
  });

  it("is removed by an admin for somebody who has lost it", async () => {
    const chief = await registerPerson(api.http, "chief");
    await makeStaff(database, chief, "admin");
    const { accessToken } = await logIn(api.http, "chief");
    const path = `/api/admin/users/${person.id}/reset-mfa`;
    expect((await api.http.post(path, { reason: "lost" }, accessToken)).status).toBe(204);
    expect((await enter(device.get(await request()))).body.code).toBe("passkey.invalid");
    await logIn(api.http, "ann");
    const told = await onDatabase<{ data: unknown }>(
      database.adminUrl,
      "select data from notices where user_id = $1 and type = 'security.factor_removed'",
      [person.id],
    );
    expect(told).toEqual([{ data: { factor: "passkey" } }]);
    expect(api.errors()).toEqual([]);
  });
});
