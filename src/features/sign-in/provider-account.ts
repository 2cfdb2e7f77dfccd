/** The first sign-in of somebody whom another provider knows and we do not: an account, if that may be. Never one that is there already. */

import { randomInt } from "node:crypto";
import { userRegistered } from "#src/contract/event-types";
import { inTx, type Tx } from "#src/db/tx";
import { appendEvent } from "#src/events/append";
import { emailTaken, insertUser, usernameTaken } from "#src/features/accounts/public";
import { insertIdentity, type ExchangeNeeds, type ProvedIdentity } from "#src/features/identities/public";
import { requestLink } from "#src/features/one-time-tokens/public";
import type { Client } from "#src/kernel/actor";
import { newUuid } from "#src/kernel/ids";
import { securityEvent } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { beginOrAsk } from "./begin-or-ask.ts";
import { signInMailJob } from "./registration.ts";
import { identityAddressMissing, identityAddressTaken, identityAddressUnproved, identityUnknown } from "./sign-in.errors.ts";
import { suggestUsernames } from "./suggest-username.ts";

type Needs = ExchangeNeeds &
  Parameters<typeof beginOrAsk>[0] & {
    readonly config: { readonly registration: "open" | "verified" };
    readonly onRegistration: (outcome: string) => void;
  };

interface Newcomer {
  readonly proved: ProvedIdentity;
  /** What they would like to be called. */
  readonly username: string | undefined;
  readonly client: Client;
}

/**
 * Makes the account and enters it. An address that has an account is refused, whatever the provider says of it: whoever holds it
 * signs in by their own way, and links.
 * @throws Problem `identity.unknown`, `identity.address_missing`, `identity.address_unproved`, `identity.address_taken`
 */
export async function enterAsNewcomer(deps: Needs, newcomer: Newcomer): Promise<Awaited<ReturnType<typeof beginOrAsk>>> {
  try {
    const email = addressFor(deps, newcomer.proved);
    const begun = await underSomeName(newcomer, (username) => inTx(deps.db, (tx) => make(deps, tx, { ...newcomer, username, email })));
    deps.onRegistration("accepted");
    return begun;
  } catch (error) {
    deps.onRegistration(error instanceof Problem ? error.code : "failed");
    throw error;
  }
}

/** Looked at before anybody's account is: those who may have none learn nothing of others. */
function addressFor(deps: Needs, { provider, email, emailVerified }: ProvedIdentity): string {
  if (!deps.providers.named(provider).newAccounts) throw new Problem(identityUnknown);
  if (email === undefined) throw new Problem(identityAddressMissing);
  if (deps.config.registration === "verified" && !emailVerified) throw new Problem(identityAddressUnproved);
  return email;
}

async function underSomeName<Result>(newcomer: Newcomer, make: (username: string) => Promise<Result>): Promise<Result> {
  const { username, proved } = newcomer;
  const hints = username === undefined ? proved.nameHints : [username, ...proved.nameHints];
  for (const name of suggestUsernames(hints, () => String(randomInt(1000, 10_000_000)))) {
    try {
      return await make(name);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.type === emailTaken) throw new Problem(identityAddressTaken);
      if (error.type !== usernameTaken) throw error;
    }
  }
  throw new Problem(usernameTaken);
}

async function make(
  deps: Needs,
  tx: Tx,
  { proved, username, email, client }: Newcomer & { readonly username: string; readonly email: string },
): Promise<Awaited<ReturnType<typeof beginOrAsk>>> {
  const displayName = proved.displayName ?? username;
  const { emailVerified } = proved;
  const userId = newUuid(deps.clock);
  const user = await insertUser(tx, { id: userId, username, email, displayName, roles: ["user"], locale: client.locale, emailVerified });
  await appendEvent(tx, userRegistered, {
    subject: userId,
    data: { userId, username, displayName, avatarUrl: null, createdAt: user.created_at.toISOString() },
  });
  // Two first sign-ins at once: the other one has made the account, and the next sign-in finds it.
  if (!(await insertIdentity(tx, { ...proved, id: newUuid(deps.clock), userId, isUsed: true }))) throw new Problem(identityAddressTaken);
  if (!emailVerified) {
    await requestLink(tx, signInMailJob, { id: newUuid(deps.clock), purpose: "address", email, userId, locale: client.locale });
  }
  securityEvent(deps.log, { kind: "registration.succeeded", userId, address: client.address, reason: proved.provider });
  return await beginOrAsk(deps, tx, { userId, client, mayTell: false });
}
