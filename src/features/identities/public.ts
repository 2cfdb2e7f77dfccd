/** The door of identities: signing in at another provider, and whose such an identity is. */

export type { ProvedIdentity } from "./claims.ts";
export { beginExchange, completeExchange, type Begun, type ExchangeNeeds, type Returned } from "./exchange.ts";
export { providerAway, providerDenied, providerNotFound, redirectRefused, responseRefused, stateInvalid } from "./identities.errors.ts";
export { beginBody, begunSchema, providerParams, returnedBody } from "./identities.schemas.ts";
export { dropIdentities, dropUnprovedIdentities, findIdentity, insertIdentity, useIdentity } from "./identities.sql.ts";
export { createProviders, type OidcProvider, type Providers } from "./providers.ts";
