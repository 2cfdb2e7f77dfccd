import { expect } from "@jest/globals";
import type { CreationOptions, RequestOptions } from "#src/features/factors/passkeys.schemas";
import { createAuthenticator, type Authenticator, type Bent } from "../../kit/authenticator.ts";
import type { Answer } from "../../kit/http-client.ts";
import type { SignedIn } from "../../kit/service.ts";
import { rowsOf, told, type Row } from "../row.ts";
import { APP, tally, type Body, type Target } from "../target.ts";

interface WithPasskey extends SignedIn {
  readonly device: Authenticator;
}

async function withPasskey(target: Target): Promise<WithPasskey> {
  const person = await target.newcomer();
  const device = createAuthenticator({ origin: APP });
  const { body: options } = await target.api.http.post<CreationOptions>("/api/auth/passkeys/options", undefined, person.accessToken);
  const added = await target.api.http.post("/api/auth/passkeys", { name: "Key", response: device.create(options) }, person.accessToken);
  expect(told(added)).toBe("201");
  return { ...person, device };
}

const question = async (
  { api }: Target,
  path = "/api/auth/passkeys/login/options",
  body?: object,
  token?: string,
): Promise<RequestOptions> => (await api.http.post<RequestOptions>(path, body, token)).body;
const enter = ({ api }: Target, response: unknown): Promise<Answer<Body>> => api.http.post<Body>("/api/auth/passkeys/login", { response });

/** Refused with what is bent, and the very passkey still signs in. */
function lie(bent: Bent | ((of: { other: WithPasskey }) => Bent)): Row["attack"] {
  return async (target) => {
    const [person, other] = [await withPasskey(target), await withPasskey(target)];
    const how = typeof bent === "function" ? bent({ other }) : bent;
    expect(told(await enter(target, person.device.get(await question(target), how)))).toMatch(/^400 passkey\.(invalid|challenge_invalid)$/);
    const answer = await enter(target, person.device.get(await question(target)));
    expect([told(answer), answer.body.user.id]).toEqual(["200", person.id]);
  };
}

const held = ({ device }: WithPasskey): Authenticator["held"][number] => device.held[0] as Authenticator["held"][number];

export const passkeyRows = rowsOf("passkey", [
  ["another origin", lie({ origin: "https://evil.example" })],
  ["an origin that begins as ours", lie({ origin: `${APP}.evil.example` })],
  ["another site's rpId", lie({ rpId: "evil.example" })],
  ["the rpId of a subdomain", lie({ rpId: "app.example.com" })],
  ["in a frame of another site", lie({ crossOrigin: true })],
  ["no user verification", lie({ userVerified: false })],
  ["nobody present", lie({ userVerified: false, userPresent: false })],
  ["an answer of adding one", lie({ type: "webauthn.create" })],
  ["a challenge made up", lie({ challenge: "x".repeat(54) })],
  ["another account's passkey id", lie(({ other }) => ({ id: held(other).id }))],
  ["another account's id and name", lie(({ other }) => ({ id: held(other).id, userHandle: held(other).userHandle }))],
  ["another account's name", lie(({ other }) => ({ userHandle: held(other).userHandle }))],
  ["no name", lie({ userHandle: null })],
  [
    "a counter that goes back, or stays",
    async (target) => {
      const { device } = await withPasskey(target);
      expect(told(await enter(target, device.get(await question(target), { counter: 100 })))).toBe("200");
      for (const counter of [100, 99, 1, 0])
        expect(told(await enter(target, device.get(await question(target), { counter })))).toBe("400 passkey.invalid");
      expect(told(await enter(target, device.get(await question(target), { counter: 101 })))).toBe("200");
    },
  ],
  [
    "an assertion replayed, at once and later",
    async (target) => {
      const { device } = await withPasskey(target);
      const response = device.get(await question(target));
      const answers = await Promise.all(Array.from({ length: 8 }, () => enter(target, response)));
      expect(tally(answers, ({ status }) => String(status))).toEqual({ 200: 1, 400: 7 });
      expect(told(await enter(target, response))).toBe("400 passkey.challenge_invalid");
    },
  ],
  [
    "a challenge of another purpose or session, whichever door",
    async (target) => {
      const { api } = target;
      const [person, other] = [await withPasskey(target), await withPasskey(target)];
      const { accessToken: token, device } = person;
      const challenge = await target.challengeOf(person);
      const ofLogin = await question(target);
      const ofStepUp = await question(target, "/api/auth/step-up/passkey/options", undefined, token);
      const ofAdding = (await api.http.post<CreationOptions>("/api/auth/passkeys/options", undefined, token)).body;
      const ofMfa = await question(target, "/api/auth/mfa/passkey/options", { challenge });
      const asQuestion = { ...ofLogin, challenge: ofAdding.challenge };
      for (const asked of [ofStepUp, asQuestion, ofMfa])
        expect(told(await enter(target, device.get(asked)))).toBe("400 passkey.challenge_invalid");
      const stepUp = async (asked: RequestOptions, by = token, from = device): Promise<string> =>
        told(await api.http.post("/api/auth/step-up/passkey", { response: from.get(asked) }, by));
      for (const asked of [ofLogin, asQuestion, ofMfa]) expect(await stepUp(asked)).toBe("400 passkey.challenge_invalid");
      expect(await stepUp({ ...ofStepUp, allowCredentials: [] }, other.accessToken, other.device)).toBe("400 passkey.challenge_invalid");
      for (const asked of [ofLogin, ofStepUp, asQuestion])
        expect(told(await api.http.post("/api/auth/mfa/passkey", { challenge, response: device.get(asked) }))).toMatch(/^40[01] /);
      expect(await stepUp(ofStepUp)).toBe("204");
    },
  ],
]);
