import { expect } from "@jest/globals";
import type { Answer } from "../../kit/http-client.ts";
import type { IdentityProvider } from "../../kit/identity-provider.ts";
import type { SignedIn } from "../../kit/service.ts";
import { rowsOf, told } from "../row.ts";
import type { Body, Target } from "../target.ts";

interface Begun {
  readonly authorizationUrl: string;
  readonly state: string;
  readonly binding: string;
}

let count = 0;
const begin = async ({ api }: Target, provider = "a"): Promise<Begun> =>
  (await api.http.post<Begun>(`/api/auth/oidc/${provider}/begin`, {})).body;
const complete = ({ api }: Target, response: string, binding: string, provider = "a"): Promise<Answer<Body>> =>
  api.http.post<Body>(`/api/auth/oidc/${provider}/complete`, { response, binding });

/** Somebody there who has an account here. */
async function known(target: Target): Promise<string> {
  const subject = `known${(count += 1)}`;
  target.provider.people.set(subject, { email: `${subject}@example.com`, email_verified: true });
  const answer = await enter(target, target.provider, subject);
  expect(told(answer)).toBe("200");
  return subject;
}

async function enter(target: Target, at: IdentityProvider, subject: string): Promise<Answer<Body>> {
  const begun = await begin(target, at.configured.id);
  const response = await at.signIn(begun.authorizationUrl, subject);
  for (const code of new URLSearchParams(response).getAll("code")) target.secrets.add("provider code", code);
  return await complete(target, response, begun.binding, at.configured.id);
}

const identitiesOf = async ({ api }: Target, { accessToken }: SignedIn): Promise<number> =>
  (await api.http.get<{ data: unknown[] }>("/api/users/me/identities", accessToken)).body.data.length;

/** Nobody is let in, and the account has no identity but its own. */
async function takesNothing(target: Target, claims: (person: SignedIn) => object, expected: string): Promise<void> {
  const person = await target.newcomer();
  const subject = `thief${(count += 1)}`;
  target.provider.people.set(subject, { ...claims(person) });
  expect(told(await enter(target, target.provider, subject))).toBe(expected);
  expect(await identitiesOf(target, person)).toBe(0);
}

export const providerRows = rowsOf("provider", [
  [
    "mix-up: another provider's response under our state",
    async (target) => {
      const { provider, otherProvider } = target;
      const subject = await known(target);
      otherProvider.people.set(subject, { email: `${subject}@other.example`, email_verified: true });
      const begun = await begin(target);
      const atOther = new URL((await begin(target, "b")).authorizationUrl);
      atOther.searchParams.set("state", begun.state);
      const response = await otherProvider.signIn(atOther.href, subject);
      const asked = provider.asked.length;
      expect(told(await complete(target, response, begun.binding, "b"))).toBe("400 oidc.state_invalid");
      expect(told(await complete(target, response, begun.binding))).toBe("400 oidc.response_refused");
      expect(provider.asked.slice(asked)).not.toContain("/token");
    },
  ],
  [
    "a response replayed, at once and later",
    async (target) => {
      const subject = await known(target);
      const { authorizationUrl, binding } = await begin(target);
      const response = await target.provider.signIn(authorizationUrl, subject);
      const answers = await Promise.all(Array.from({ length: 6 }, () => complete(target, response, binding)));
      expect(answers.map(told).sort()).toEqual(["200", ...Array.from({ length: 5 }, () => "400 oidc.state_invalid")]);
      expect(told(await complete(target, response, binding))).toBe("400 oidc.state_invalid");
    },
  ],
  [
    "a code replayed under a new state, and one of another sign-in",
    async (target) => {
      const subject = await known(target);
      const [first, used, fresh] = [await begin(target), await begin(target), await begin(target)];
      const response = new URLSearchParams(await target.provider.signIn(first.authorizationUrl, subject));
      response.set("state", fresh.state);
      expect(told(await complete(target, response.toString(), fresh.binding))).toBe("400 oidc.response_refused");
      const again = new URLSearchParams(await target.provider.signIn(used.authorizationUrl, subject));
      expect(told(await complete(target, again.toString(), used.binding))).toBe("200");
      const next = await begin(target);
      again.set("state", next.state);
      expect(told(await complete(target, again.toString(), next.binding))).toBe("400 oidc.response_refused");
    },
  ],
  [
    "a state of another client, of another purpose, cut or given twice",
    async (target) => {
      const subject = await known(target);
      const person = await target.newcomer();
      const [begun, elsewhere] = [await begin(target), await begin(target)];
      const linking = (await target.api.http.post<Begun>("/api/users/me/identities/a/begin", {}, person.accessToken)).body;
      const response = await target.provider.signIn(begun.authorizationUrl, subject);
      const other = await target.provider.signIn(linking.authorizationUrl, subject);
      const changed = (change: (query: URLSearchParams) => void): string => {
        const query = new URLSearchParams(response);
        change(query);
        return query.toString();
      };
      const attempts: readonly (readonly [string, string])[] = [
        [response, elsewhere.binding],
        [response, "x"],
        [other, linking.binding],
        [changed((query) => query.set("state", begun.state.slice(0, -1))), begun.binding],
        [changed((query) => query.append("state", begun.state)), begun.binding],
        [changed((query) => query.delete("state")), begun.binding],
      ];
      for (const [text, binding] of attempts) expect(told(await complete(target, text, binding))).toBe("400 oidc.state_invalid");
      // A stranger's response does not link their identity to whoever is signed in.
      const body = { response, binding: begun.binding };
      expect(told(await target.api.http.post("/api/users/me/identities/a/complete", body, person.accessToken))).toBe(
        "400 oidc.state_invalid",
      );
      expect(await identitiesOf(target, person)).toBe(0);
      expect(told(await complete(target, response, begun.binding))).toBe("200");
    },
  ],
  [
    "an account's address that the provider has not made sure of",
    (target) => takesNothing(target, ({ email }) => ({ email, email_verified: false }), "409 identity.address_taken"),
  ],
  [
    "an account's address that the provider swears to",
    (target) => takesNothing(target, ({ email }) => ({ email, email_verified: true }), "409 identity.address_taken"),
  ],
  [
    "an account's address in capitals, sworn to by a text",
    (target) => takesNothing(target, ({ email }) => ({ email: email.toUpperCase(), email_verified: "true" }), "409 identity.address_taken"),
  ],
  [
    "an account's address in letters that fold into it",
    (target) =>
      takesNothing(target, ({ email }) => ({ email: email.replace("e", "\uff45"), email_verified: true }), "403 identity.address_missing"),
  ],
  [
    "a subject that is an account's id, name or address",
    async (target) => {
      const person = await target.newcomer();
      for (const subject of [person.id, person.username, person.email]) {
        target.provider.people.set(subject, {});
        expect(told(await enter(target, target.provider, subject))).toBe("403 identity.address_missing");
      }
      expect(await identitiesOf(target, person)).toBe(0);
    },
  ],
]);
